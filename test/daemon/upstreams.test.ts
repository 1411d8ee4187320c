import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { connectNode } from '../../src/daemon/client.ts'
import { SecretKey } from '../../src/nix/key.ts'
import { parseNarInfo } from '../../src/nix/nar-info.ts'
import { runCairn } from '../cli/run-cairn.ts'
import { until } from '../fixtures/await-peers.ts'
import { call } from '../fixtures/content.ts'
import { type DaemonProcess, startDaemon } from '../fixtures/daemon-process.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { directory, file, narOf } from '../nar/trees.ts'

const NAR = narOf(directory({ a: file('a'), b: file('b'.repeat(300_000)) }))

/** Takes a NAR in as its owner does, and says which path it is. */
async function imported(node: DaemonProcess): Promise<string> {
  const answer = await fetch(`${node.gatewayUrl}/nar/x.nar`, { method: 'PUT', body: NAR })
  expect(answer.status).toBe(204)
  using client = connectNode(node.rpc)
  const hash = createHash('sha256').update(NAR).digest()
  return (await client.import('x', hash, call)).storePath
}

test('what another store has comes by gRPC, and the sources are told of', async () => {
  await using temporary = await temporaryDirectory()
  const key = SecretKey.generate('far-1')
  const keyFile = join(temporary.path, 'key')
  await writeFile(keyFile, key.toString(), { mode: 0o600 })
  await using far = await startDaemon({ args: ['--no-mdns', '--signing-key', keyFile] })
  const storePath = await imported(far)
  const upstream = ['--upstream', `grpc+http://${far.rpc}`]
  const trust = ['--trusted-key', `${key.publicKey()}`]
  await using near = await startDaemon({ args: ['--no-mdns', ...upstream, ...trust] })
  const name = storePath.slice('/nix/store/'.length, '/nix/store/'.length + 32)
  const described = await fetch(`${near.gatewayUrl}/${name}.narinfo`)
  expect(described.status).toBe(200)
  const { url } = parseNarInfo(await described.text())
  const nar = Buffer.from(await (await fetch(`${near.gatewayUrl}/${url}`)).arrayBuffer())
  expect(nar.equals(NAR)).toBe(true)
  using client = connectNode(near.rpc)
  const [peers, store] = await client.sources(call)
  expect(peers).toMatchObject({ name: 'peers', hits: 0 })
  expect(store).toMatchObject({ name: `grpc+http://${far.rpc}`, state: 'ready', faults: 0 })
  expect(store!.hits).toBeGreaterThan(0)

  // Gone: what it had is absent, at once, and it is left alone.
  await far.kill()
  const absent = '0'.repeat(32)
  await until(async () => {
    const begunMs = performance.now()
    expect((await fetch(`${near.gatewayUrl}/${absent}.narinfo`)).status).toBe(404)
    expect(performance.now() - begunMs).toBeLessThan(2_000)
    return (await client.sources(call))[1]!.state === 'benched'
  })
  expect((await client.sources(call))[1]!.lastFault?.what).toContain(far.rpc)
  // What is here already is served all the same.
  expect((await fetch(`${near.gatewayUrl}/${name}.narinfo`)).status).toBe(200)
})

test('what is here goes to another store by one command, and not twice', async () => {
  await using temporary = await temporaryDirectory()
  const key = SecretKey.generate('near-1')
  const keyFile = join(temporary.path, 'key')
  await writeFile(keyFile, key.toString(), { mode: 0o600 })
  await using far = await startDaemon({ args: ['--no-mdns'] })
  await using near = await startDaemon({ args: ['--no-mdns', '--signing-key', keyFile] })
  const storePath = await imported(near)
  const push = () =>
    runCairn(['push', '--json', '--to', `grpc+http://${far.rpc}`, storePath], {
      env: { CAIRN_RPC: near.rpc },
    })
  const first = await push()
  expect(first).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(first.stdout)).toMatchObject({ pathsPushed: 1, pathsHeld: 0, failures: [] })
  expect(JSON.parse((await push()).stdout)).toMatchObject({ pathsPushed: 0, pathsHeld: 1 })
  const name = storePath.slice('/nix/store/'.length, '/nix/store/'.length + 32)
  expect((await fetch(`${far.gatewayUrl}/${name}.narinfo`)).status).toBe(200)

  const wrong = await runCairn(['push', '--to', 'ftp://cache', storePath], {
    env: { CAIRN_RPC: near.rpc },
  })
  expect(wrong.code).toBe(1)
  expect(wrong.stderr).toContain('--to is the URL of a cache')
  await far.kill()
  const gone = await push()
  expect(gone.code).toBe(1)
})
