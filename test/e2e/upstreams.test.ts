import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { SecretKey } from '../../src/nix/key.ts'
import { runCairn } from '../cli/run-cairn.ts'
import { until } from '../fixtures/await-peers.ts'
import { startDaemon } from '../fixtures/daemon-process.ts'
import {
  buildNixClosure,
  type ClosureKey,
  type NixClosure,
  nix,
  nixMissing,
  verifyInStore,
} from '../fixtures/nix-closure.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { narInfoUrl } from './machines.ts'

const skipped = nixMissing()
const why = skipped === undefined ? '' : ` (${skipped})`

const stack = new AsyncDisposableStack()
let directory: string
let closure: NixClosure
let key: ClosureKey

beforeAll(async () => {
  if (skipped !== undefined) return
  directory = stack.use(await temporaryDirectory()).path
  closure = stack.use(
    await buildNixClosure(directory, { paths: 10, bigFileBytes: 500_000, smallFiles: 100 }),
  )
  key = await closure.sign('cache-1')
}, 60_000)
afterAll(() => stack.disposeAsync(), 60_000)

/** Has Nix write the closure into a cache of its own. */
async function writtenCache(name: string): Promise<string> {
  const url = `file://${join(directory, name)}`
  await nix('nix', ['copy', '--to', `${url}?compression=none`, closure.top])
  return url
}

test.skipIf(skipped)(
  `what nobody trusted signed is absent${why}`,
  { timeout: 60_000 },
  async () => {
    const url = await writtenCache('untrusted')
    await using node = await startDaemon({ args: ['--no-mdns', '--upstream', url] })
    const answer = await fetch(narInfoUrl(node.gatewayUrl, closure.top))
    expect(answer.status).toBe(404)
  },
)

test.skipIf(skipped)(
  `a cache's own key counts for what it has${why}`,
  { timeout: 60_000 },
  async () => {
    const url = await writtenCache('own-key')
    const toml = `[[upstream]]\nurl = "${url}"\ntrusted_keys = ["${key.publicKey}"]\n`
    const config = join(directory, 'cairn.toml')
    await writeFile(config, toml)
    await using node = await startDaemon({ args: ['--no-mdns', '--config', config] })
    expect((await fetch(narInfoUrl(node.gatewayUrl, closure.top))).status).toBe(200)
  },
)

test.skipIf(skipped)(
  `what a node pushes to a cache Nix reads from there${why}`,
  { timeout: 90_000 },
  async () => {
    const from = await writtenCache('before')
    const flags = ['--no-mdns', '--upstream', from, '--trusted-key', key.publicKey]
    await using node = await startDaemon({ args: flags })
    const env = { CAIRN_RPC: node.rpc }
    expect((await runCairn(['fetch', closure.top], { env })).code).toBe(0)
    const to = `file://${join(directory, 'pushed')}`
    const push = async (...options: string[]) => {
      const args = ['push', '--json', '--to', to, ...options, closure.top]
      const { code, stdout, stderr } = await runCairn(args, { env })
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      return JSON.parse(stdout)
    }
    const paths = closure.paths.length
    expect(await push('--compression', 'xz')).toMatchObject({ pathsPushed: paths, pathsHeld: 0 })
    expect(await push()).toMatchObject({ pathsPushed: 0, pathsHeld: paths, bytesTotal: 0 })
    const store = join(directory, 'store-pushed')
    const trust = ['--option', 'trusted-public-keys', key.publicKey]
    await nix('nix', ['copy', ...trust, '--from', to, '--to', store, closure.top])
    await verifyInStore(store, ...closure.paths)
  },
)

test.skipIf(skipped)(
  `what a node signs goes to its mirror by itself${why}`,
  { timeout: 90_000 },
  async () => {
    const [keyFile, mirror] = [join(directory, 'own-key-file'), join(directory, 'mirror')]
    const own = SecretKey.generate('mirrored-1')
    await writeFile(keyFile, own.toString(), { mode: 0o600 })
    const pushing = ['--push-to', `file://${mirror}`, '--push-compression', 'none']
    const args = ['--no-mdns', '--signing-key', keyFile, ...pushing]
    await using node = await startDaemon({ args })
    const small = join(directory, 'small')
    await writeFile(small, 'some words')
    const env = { CAIRN_RPC: node.rpc }
    const path = (await runCairn(['import', small], { env })).stdout.trim()
    const name = join(
      mirror,
      `${path.slice('/nix/store/'.length, '/nix/store/'.length + 32)}.narinfo`,
    )
    await until(async () => (await readFile(name, 'utf8').catch(() => '')).includes('mirrored-1:'))
  },
)
