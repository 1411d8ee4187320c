import { chmod, open, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connectNode } from '../../src/daemon/client.ts'
import { SecretKey } from '../../src/nix/key.ts'
import { StorePath } from '../../src/nix/store-path.ts'
import { runCairn } from '../cli/run-cairn.ts'
import { until } from '../fixtures/await-peers.ts'
import { call } from '../fixtures/content.ts'
import { type DaemonProcess, startDaemon } from '../fixtures/daemon-process.ts'
import {
  buildNixClosure,
  type ClosureKey,
  compareTrees,
  type NixClosure,
  nix,
  nixMissing,
} from '../fixtures/nix-closure.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'

const MIB = 1024 * 1024

const skipped = nixMissing()
const why = skipped === undefined ? '' : ` (${skipped})`
const SIZE = { paths: 12, bigFileBytes: 8 * MIB, smallFiles: 200 }

const stack = new AsyncDisposableStack()
let directory: string
let closure: NixClosure
let key: ClosureKey

beforeAll(async () => {
  directory = stack.use(await temporaryDirectory()).path
  if (skipped !== undefined) return
  closure = stack.use(await buildNixClosure(directory, SIZE))
  key = await closure.sign('builder-1')
})
afterAll(() => stack.disposeAsync())

async function cairn(node: DaemonProcess, ...args: string[]) {
  const outcome = await runCairn([...args, '--json'], { env: { CAIRN_RPC: node.rpc } })
  return { ...outcome, json: outcome.stdout === '' ? undefined : JSON.parse(outcome.stdout) }
}

const narInfo = (node: DaemonProcess, path: string): Promise<Response> =>
  fetch(`${node.gatewayUrl}/${StorePath.parse(path).hashText}.narinfo`)

test.skipIf(skipped)(
  `what lies in /nix/store is served from there, and shared as signed${why}`,
  {
    timeout: 60_000,
  },
  async () => {
    const trusting = ['--no-mdns', '--trusted-key', key.publicKey]
    await using node = await startDaemon({ args: trusting })
    const adopted = await cairn(node, 'adopt', ...closure.paths)
    expect(adopted).toMatchObject({ code: 0, json: { adopted: closure.paths.length, held: 0 } })
    expect((await cairn(node, 'adopt', closure.top)).json).toMatchObject({ adopted: 0, held: 1 })
    const { uniqueBytes, storedBytes, storePaths } = (await cairn(node, 'status')).json
    expect(storePaths).toBe(closure.paths.length)
    expect(uniqueBytes).toBeGreaterThan(8 * MIB)
    expect(storedBytes).toBeLessThan(uniqueBytes / 20)
    const text = await (await narInfo(node, closure.top)).text()
    expect(text).toMatch(/^Sig: builder-1:/m)
    expect(text).toMatch(/^Deriver: /m)
    expect((await cairn(node, 'verify')).json).toMatchObject({ faults: [] })

    // A neighbour gets it, and Nix gets it from there.
    await using other = await startDaemon({ args: [...trusting, '--bootstrap', node.listen] })
    using client = connectNode(other.rpc)
    await until(async () => (await client.peers(call)).length > 0)
    const root = join(directory, 'root')
    await nix('nix', [
      'copy',
      '--no-check-sigs',
      '--from',
      other.gatewayUrl,
      '--to',
      root,
      closure.top,
    ])
    for (const path of closure.paths) expect(compareTrees(path, join(root, path)), path).toEqual([])
  },
)

test.skipIf(skipped)(
  `a path that Nix does not know is told, and the others go on${why}`,
  {
    timeout: 60_000,
  },
  async () => {
    await using node = await startDaemon({ args: ['--no-mdns'] })
    const unknown = `/nix/store/${'0'.repeat(32)}-unknown`
    const told = await cairn(node, 'adopt', unknown, closure.oddPath)
    expect(told).toMatchObject({ code: 1, json: { adopted: 1 } })
    expect(told.json.failures).toMatchObject([{ storePath: unknown, error: /no valid path/ }])
    expect((await cairn(node, 'adopt')).code).toBe(2)
    expect((await cairn(node, 'adopt', '--all', closure.top)).code).toBe(2)
    await using elsewhere = await startDaemon({ args: ['--no-mdns', '--adopt-root', directory] })
    const none = await cairn(elsewhere, 'adopt', '--all')
    expect(none.code).toBe(1)
    expect(none.stderr).toMatch(/database can not be read/)
  },
)

test.skipIf(skipped)(
  `paths that come and go in the store come and go in the node${why}`,
  {
    timeout: 90_000,
  },
  async () => {
    await using another = await buildNixClosure(directory, { ...SIZE, paths: 8 })
    const follow = ['--no-mdns', '--adopt-follow', '--adopt-paths', 'all']
    await using node = await startDaemon({ args: follow })
    await until(async () => (await narInfo(node, another.top)).ok)
    await using later = await buildNixClosure(directory, { ...SIZE, paths: 8 })
    await until(async () => (await narInfo(node, later.top)).ok)
    await nix('nix-store', ['--delete', later.top])
    await until(async () => (await narInfo(node, later.top)).status === 404)
    expect((await narInfo(node, another.top)).ok).toBe(true)
  },
)

test.skipIf(skipped)(
  `a path whose files change is gone at the next touch${why}`,
  {
    timeout: 60_000,
  },
  async () => {
    await using mine = await buildNixClosure(directory, { ...SIZE, paths: 8 })
    await using node = await startDaemon({ args: ['--no-mdns'] })
    expect((await cairn(node, 'adopt', mine.bigPath)).json).toMatchObject({ adopted: 1 })
    const text = await (await narInfo(node, mine.bigPath)).text()
    const [, url] = /^URL: (.*)$/m.exec(text)!
    const nar = async (): Promise<number> => {
      const answer = await fetch(`${node.gatewayUrl}/${url}`)
      return (await answer.arrayBuffer()).byteLength
    }
    expect(await nar()).toBeGreaterThan(8 * MIB)
    const blob = join(mine.bigPath, 'blob')
    await chmod(blob, 0o644)
    {
      await using file = await open(blob, 'r+')
      await file.write(Buffer.from('changed'), 0, 7, 5 * MIB)
    }
    // What is left is never served as if it were whole.
    await nar().then(
      (bytes) => expect(bytes).toBeLessThan(8 * MIB),
      () => undefined,
    )
    await until(async () => (await narInfo(node, mine.bigPath)).status === 404)
  },
)

test.skipIf(skipped)(
  `what Nix builds is signed and served, also what it built while the node was down${why}`,
  {
    timeout: 90_000,
  },
  async () => {
    await using temporary = await temporaryDirectory()
    const { path } = temporary
    const [state, hook, keyFile] = [join(path, 'state'), join(path, 'hook'), join(path, 'key')]
    const key = SecretKey.generate('builder-7')
    await writeFile(keyFile, key.toString(), { mode: 0o600 })
    const entry = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
    const command = `${process.execPath} ${entry} post-build-hook --state ${state}`
    await writeFile(hook, `#!/bin/sh\nexec ${command}\n`, { mode: 0o755 })
    const build = (name: string): Promise<string> => {
      const script = 'echo $name > $out'
      const derivation = `derivation { name = "${name}"; system = builtins.currentSystem;
        builder = "/bin/sh"; args = [ "-euc" "${script}" ]; salt = "${path}"; }`
      const args = ['--no-out-link', '-Q', '--option', 'post-build-hook', hook, '-E', derivation]
      return nix('nix-build', args).then((it) => it.trim())
    }
    const before = await build('built-before')
    const init = { state, args: ['--no-mdns', '--signing-key', keyFile] }
    await using node = await startDaemon(init)
    await until(async () => (await narInfo(node, before)).ok)
    const meanwhile = await build('built-meanwhile')
    await until(async () => (await narInfo(node, meanwhile)).ok)
    expect(await (await narInfo(node, meanwhile)).text()).toContain('Sig: builder-7:')
    await until(async () => (await readdir(join(state, 'built'))).length === 0)
    await nix('nix-store', ['--delete', before, meanwhile])
  },
)
