import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { Digest } from '../../src/foundation/digest.ts'
import { parseNarInfo } from '../../src/nix/nar-info.ts'
import { StorePath } from '../../src/nix/store-path.ts'
import type { AnswerItem } from '../../src/peers/exchange/exchange-session.ts'
import type { Want } from '../../src/peers/exchange/want.ts'
import { runCairn } from '../cli/run-cairn.ts'
import { until } from '../fixtures/await-peers.ts'
import { call } from '../fixtures/content.ts'
import { type DaemonInit, type DaemonProcess, startDaemon } from '../fixtures/daemon-process.ts'
import { type PeerNode, peerNode } from '../fixtures/peer-node.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'

// Each of these starts several daemons, one after the other.
vi.setConfig({ testTimeout: 120_000 })

const CONTENT = Buffer.from('what only this machine is to know')
const BLOB = Digest.ofContent(CONTENT)

interface Asked extends AsyncDisposable {
  readonly node: DaemonProcess
  /** Whether a peer is given the path, and its file by the digest. */
  told(path: string): Promise<{ path: boolean; blob: boolean }>
  cairn(...args: string[]): ReturnType<typeof runCairn>
}

/** A daemon with a state directory of ours, and a peer in this process that is connected with it. */
async function askedDaemon(init: DaemonInit): Promise<Asked> {
  await using stack = new AsyncDisposableStack()
  const node = stack.use(await startDaemon({ ...init, args: ['--no-mdns', ...(init.args ?? [])] }))
  const cairn = (...args: string[]) => runCairn(args, { env: { CAIRN_RPC: node.rpc } })
  const { peerId } = JSON.parse((await cairn('status', '--json')).stdout)
  const peer: PeerNode = stack.use(await peerNode())
  await peer.host.connect({ id: peerId, addresses: [node.listen] }, call)
  await until(() => peer.host.connected().length === 1)
  const has = async (want: Want): Promise<boolean> => {
    const answers: AnswerItem[] = []
    const onAnswer = (answer: AnswerItem): void => void answers.push(answer)
    await peer.client.ask(peerId, { want, bytes: 10_000, onAnswer }, call)
    return answers[0]?.type !== 'absent'
  }
  const owned = stack.move()
  return {
    ...{ node, cairn },
    told: async (path) => ({
      path: await has({ type: 'path-infos', hashes: [StorePath.parse(path).hash] }),
      blob: await has({ type: 'chunks', digests: [BLOB] }),
    }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

async function stateWithPath() {
  const directory = await temporaryDirectory()
  const state = join(directory.path, 'state')
  const content = join(directory.path, 'content')
  await writeFile(content, CONTENT)
  const config = join(directory.path, 'cairn.toml')
  const start = async (toml: string): Promise<Asked> => {
    await writeFile(config, toml)
    return await askedDaemon({ state, args: ['--config', config] })
  }
  return { directory, state, content, start }
}

const ALL = { path: true, blob: true }
const NOTHING = { path: false, blob: false }

test('what the owner chooses counts at once, and after a restart, whatever is deleted', async () => {
  const { directory, state, content, start } = await stateWithPath()
  await using _directory = directory
  let path: string
  {
    await using it = await start('')
    const { stdout, stderr } = await it.cairn('import', content)
    path = stdout.trim()
    expect(stderr).toContain('cairn share')
    expect(await it.told(path)).toEqual(NOTHING)
    const shared = await it.cairn('share', path)
    expect(shared).toEqual({ code: 0, stderr: '', stdout: `${path}: shared from now on\n` })
    expect(await it.told(path)).toEqual(ALL)
    await it.node.stop()
  }
  {
    await using it = await start('')
    await until(async () => (await it.told(path)).blob)
    expect(await it.told(path)).toEqual(ALL)
    await it.node.kill()
  }
  await rm(join(state, 'shared'), { recursive: true })
  {
    await using it = await start('')
    await until(async () => (await it.told(path)).blob)
    const { stdout } = await it.cairn('unshare', '--json', path)
    expect(JSON.parse(stdout)).toEqual({ paths: [path], shared: false })
    expect(await it.told(path)).toEqual(NOTHING)
    await it.node.kill()
  }
  await using it = await start('[share]\nmode = "all"')
  expect(await it.told(path)).toEqual(NOTHING)
})

test('what the configuration does not share any more is not shared after a restart', async () => {
  const { directory, content, start } = await stateWithPath()
  await using _directory = directory
  let path: string
  {
    await using it = await start('share.mode = "all"')
    path = (await it.cairn('import', content)).stdout.trim()
    await until(async () => (await it.told(path)).blob)
    expect(await it.told(path)).toEqual(ALL)
    await it.node.stop()
  }
  for (const toml of ['', '[share]\nmode = "all"\ndeny = ["cont*"]']) {
    await using it = await start(toml)
    expect(await it.told(path)).toEqual(NOTHING)
    const info = await fetch(`${it.node.gatewayUrl}/${StorePath.parse(path).hashText}.narinfo`)
    expect(parseNarInfo(await info.text()).storePath.toString()).toBe(path) // to its owner
    await it.node.stop()
  }
  await using it = await start('[share]\nmode = "none"\nallow = ["content"]')
  await until(async () => (await it.told(path)).blob)
  expect(await it.told(path)).toEqual(ALL)
})

test('choices about what is no path, or not here, are told as such', async () => {
  await using node = await startDaemon({ args: ['--no-mdns'] })
  const cairn = (...args: string[]) => runCairn(args, { env: { CAIRN_RPC: node.rpc } })
  for (const command of ['share', 'unshare']) {
    expect((await cairn(command)).code).toBe(2)
    const wrong = await cairn(command, './result')
    expect(wrong).toMatchObject({ code: 2, stdout: '' })
    expect(wrong.stderr).toContain('a store path begins with /nix/store/')
    const path = `/nix/store/${'0'.repeat(32)}-absent`
    const absent = await cairn(command, path)
    expect(absent).toEqual({ code: 1, stdout: '', stderr: `cairn: ${path} is not held here\n` })
    const nowhere = await runCairn([command, path], { env: { CAIRN_RPC: 'localhost:1' } })
    expect(nowhere.code).toBe(3)
  }
})

test('mistakes below [share] are told with their lines', async () => {
  const { directory, start } = await stateWithPath()
  await using _directory = directory
  const toml = 'log = "info"\n[share]\nmode = "some"\nallow = ["a/b"]\nden = []\n'
  const words = String(await start(toml).catch((error) => error))
  expect(words).toContain('cairn.toml:3: share.mode is one of signed, all, none, not "some"')
  expect(words).toContain('cairn.toml:4: share.allow is a pattern of the names behind the hash of ')
  expect(words).toContain('cairn.toml:5: share.den: there is no such key; did you mean share.deny?')
})
