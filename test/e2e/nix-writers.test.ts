import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TokenHash } from '../../src/foundation/access-token.ts'
import { namespacesMissing } from '../fixtures/namespaces.ts'
import {
  buildNixClosure,
  type ClosureKey,
  type NixClosure,
  nixMissing,
  verifyInStore,
} from '../fixtures/nix-closure.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { type Machine, machines, narInfoUrl } from './machines.ts'

const skipped = nixMissing() ?? namespacesMissing()
const why = skipped === undefined ? '' : ` (${skipped})`

const TOKEN = 'cairn_for-this-test'

const stack = new AsyncDisposableStack()
let directory: string
let signed: { closure: NixClosure; key: ClosureKey }
let unsigned: NixClosure

beforeAll(async () => {
  directory = stack.use(await temporaryDirectory()).path
  if (skipped !== undefined) return
  const size = { paths: 8, bigFileBytes: 1024 * 1024, smallFiles: 20 }
  const closure = stack.use(await buildNixClosure(directory, size))
  signed = { closure, key: await closure.sign('builder-1') }
  unsigned = stack.use(await buildNixClosure(directory, size))
})
afterAll(() => stack.disposeAsync())

/** A node that other machines may write to, its URL there, and one of those. */
async function cacheAndWriter(): Promise<{ cache: Machine; url: string; writer: Machine }> {
  const lan = await machines(2)
  const hash = TokenHash.of('tester', TOKEN).toString()
  const trust = ['--trusted-key', signed.key.publicKey, '--token', hash]
  const cache = await lan.start(['--no-mdns', '--gateway', '0.0.0.0:9000', ...trust])
  const writer = await lan.start(['--no-mdns'])
  const [, host] = /^\/ip4\/([^/]+)\//.exec(cache.address)!
  return { cache, url: `http://${host}:9000`, writer }
}

describe.skipIf(skipped)(`another machine${why}`, () => {
  test('may push what a trusted key signed, and nothing else', async () => {
    const { cache, url, writer } = await cacheAndWriter()
    await writer.nix('nix', 'copy', '--to', url, signed.closure.top)
    await pullAndVerify(cache, signed.closure)
    const pushed = writer.nix('nix', 'copy', '--to', url, unsigned.top)
    await expect(pushed).rejects.toThrow(/HTTP error 401/)
    const { stdout } = await cache.exec(
      'curl',
      '--silent',
      '--write-out',
      '%{http_code}',
      narInfoUrl('http://127.0.0.1:9000', unsigned.top),
    )
    expect(stdout).toContain('404')
  })

  test('may push anything with a token in its netrc', async () => {
    const { cache, url, writer } = await cacheAndWriter()
    const netrc = join(directory, 'netrc')
    const { hostname } = new URL(url)
    await writeFile(netrc, `machine ${hostname} login nix password ${TOKEN}\n`, { mode: 0o600 })
    await writer.nix('nix', 'copy', '--option', 'netrc-file', netrc, '--to', url, unsigned.top)
    await pullAndVerify(cache, unsigned)

    await writeFile(netrc, `machine ${hostname} login nix password wrong\n`)
    const args = ['copy', '--option', 'netrc-file', netrc, '--to', url, signed.closure.top]
    await expect(writer.nix('nix', ...args)).rejects.toThrow(/HTTP error 401/)
  })
})

async function pullAndVerify(on: Machine, { top, paths }: NixClosure): Promise<void> {
  const root = join(on.directory, 'root')
  await on.nix('nix', 'copy', '--no-check-sigs', '--from', on.node.gatewayUrl, '--to', root, top)
  await verifyInStore(root, ...paths)
}
