import { open, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { connectNode } from '../../src/daemon/client.ts'
import { SecretKey } from '../../src/nix/key.ts'
import { until } from '../fixtures/await-peers.ts'
import { pathNamed } from '../fixtures/claims.ts'
import { call, noise } from '../fixtures/content.ts'
import { type DaemonProcess, startDaemon } from '../fixtures/daemon-process.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { runCairn } from './run-cairn.ts'

const MIB = 1024 * 1024

async function cairn(node: DaemonProcess, ...args: string[]) {
  const outcome = await runCairn([...args, '--json'], { env: { CAIRN_RPC: node.rpc } })
  return { ...outcome, json: outcome.stdout === '' ? undefined : JSON.parse(outcome.stdout) }
}

async function imported(node: DaemonProcess, directory: string, name: string, content: Buffer) {
  const file = join(directory, name)
  await writeFile(file, content)
  const { stdout } = await runCairn(['import', file], { env: { CAIRN_RPC: node.rpc } })
  return stdout.trim()
}

test('what is pinned is kept, other paths go when they are to, and the status says what is left', {
  timeout: 60_000,
}, async () => {
  await using directory = await temporaryDirectory()
  await using node = await startDaemon({ args: ['--no-mdns'] })
  const kept = await imported(node, directory.path, 'kept', noise(2 * MIB, 'kept'))
  const other = await imported(node, directory.path, 'other', noise(3 * MIB, 'other'))
  expect((await cairn(node, 'status')).json).toMatchObject({ storePaths: 2 })

  expect(await cairn(node, 'pin', kept)).toMatchObject({ code: 0, json: { pinned: true } })
  expect((await cairn(node, 'pins')).json).toMatchObject([{ storePath: kept }])
  const absent = pathNamed('absent').toString()
  const refused = await cairn(node, 'pin', other, absent)
  expect(refused.code).toBe(1)
  expect(refused.stderr).toMatch(/absent is not held here; `cairn fetch` brings it/)
  expect((await cairn(node, 'pins')).json.length).toBe(1)

  const dry = await cairn(node, 'gc', '--dry-run', '--max-bytes', '0')
  expect(dry.json).toMatchObject({ paths: [{ storePath: other }], pathsKept: 1, freedBytes: 0 })
  expect((await cairn(node, 'status')).json.storePaths).toBe(2)
  const gone = await cairn(node, 'gc', '--max-bytes', '0')
  expect(gone.json).toMatchObject({ paths: [{ storePath: other }], pathsKept: 1 })
  const { storePaths, logicalBytes, uniqueBytes } = (await cairn(node, 'status')).json
  expect(storePaths).toBe(1)
  expect(logicalBytes).toBeGreaterThan(2 * MIB)
  expect(uniqueBytes).toBeLessThan(2 * MIB + 10_000)
  expect(await runCairn(['cat', kept], { env: { CAIRN_RPC: node.rpc } })).toMatchObject({ code: 0 })

  expect((await cairn(node, 'unpin', kept)).code).toBe(0)
  expect((await cairn(node, 'unpin', kept)).code).toBe(1)
  await cairn(node, 'gc', '--max-bytes', '0')
  expect((await cairn(node, 'status')).json).toMatchObject({ storePaths: 0, uniqueBytes: 0 })
  const bad = await runCairn(['gc', '--max-bytes', 'lots'])
  expect(bad).toMatchObject({ code: 2 })
  expect(bad.stderr).toMatch(/such as 20GB/)
})

test('what has rotted is found, and fetched anew from a neighbour', {
  timeout: 60_000,
}, async () => {
  await using directory = await temporaryDirectory()
  const key = SecretKey.generate('here-1')
  const keyFile = join(directory.path, 'key')
  await writeFile(keyFile, key.toString(), { mode: 0o600 })
  await using seed = await startDaemon({ args: ['--no-mdns', '--signing-key', keyFile] })
  const trust = ['--trusted-key', key.publicKey().toString()]
  const args = ['--no-mdns', ...trust, '--bootstrap', seed.listen]
  await using node = await startDaemon({ args })
  using client = connectNode(node.rpc)
  await until(async () => (await client.peers(call)).length > 0)
  const path = await imported(seed, directory.path, 'large', noise(3 * MIB, 'large'))
  expect((await cairn(node, 'fetch', path)).code).toBe(0)
  const well = await cairn(node, 'verify')
  expect(well).toMatchObject({ code: 0, json: { faults: [] } })
  expect(well.json.checked).toMatchObject({ blobs: 1, paths: 1 })
  expect(well.json.checked.records).toBeGreaterThan(8)

  const segments = join(node.state, 'store', 'segments')
  const [segment] = (await readdir(segments)).sort()
  {
    await using file = await open(join(segments, segment!), 'r+')
    await file.write(Buffer.from('rot'), 0, 3, MIB)
  }
  const found = await cairn(node, 'verify')
  expect(found.code).toBe(1)
  expect(found.json.faults[0]).toMatchObject({ phase: 'records', isMended: false })
  expect(found.json.faults[0].what).toMatch(/chunk b3:[0-9a-f]{64} is rotten/)

  const mended = await cairn(node, 'verify', '--repair')
  expect(mended.json.faults.length).toBeGreaterThan(0)
  expect(await cairn(node, 'verify')).toMatchObject({ code: 0, json: { faults: [] } })
  const read = await runCairn(['cat', path, '--json'], { env: { CAIRN_RPC: node.rpc } })
  expect(
    Buffer.from(JSON.parse(read.stdout).base64, 'base64').equals(noise(3 * MIB, 'large')),
  ).toBe(true)
})
