import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { SecretKey } from '../../src/nix/key.ts'
import { until } from '../fixtures/await-peers.ts'
import { compareTrees } from '../fixtures/compare-trees.ts'
import {
  buildNixClosure,
  type NixClosure,
  nix,
  nixMissing,
  verifyInStore,
} from '../fixtures/nix-closure.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { type Machine, machines, meets, narInfoUrl } from './machines.ts'

const MIB = 1024 * 1024

const skipped = nixMissing()
const why = skipped === undefined ? '' : ` (${skipped})`

const stack = new AsyncDisposableStack()
let directory: string
let closure: NixClosure

beforeAll(async () => {
  directory = stack.use(await temporaryDirectory()).path
  if (skipped !== undefined) return
  const size = { paths: 12, bigFileBytes: 2 * MIB, smallFiles: 100 }
  closure = stack.use(await buildNixClosure(directory, size))
})
afterAll(() => stack.disposeAsync())

const QUERIES = [
  '',
  '?compression=none',
  '?compression=xz',
  '?compression=zstd',
  '?compression=gzip',
  '?compression=bzip2',
  '?compression=br&write-nar-listing=1&index-debug-info=1',
]

test.skipIf(skipped).each(QUERIES)(
  `what is pushed to http://…%s comes back as it was${why}`,
  async (query) => {
    const a = await (await machines(1)).start(['--no-mdns'])
    await a.nix('nix', 'copy', '--to', a.node.gatewayUrl + query, closure.top)
    await pullAndCompare(a, ['--no-check-sigs'], closure.paths, closure.top)
  },
)

test.skipIf(skipped)(`a compression that is not known is refused by name${why}`, async () => {
  const a = await (await machines(1)).start(['--no-mdns'])
  const pushed = a.nix('nix', 'copy', '--to', `${a.node.gatewayUrl}?compression=lz4`, closure.top)
  await expect(pushed).rejects.toThrow('none, xz, zstd, bzip2, gzip, br')
})

test.skipIf(skipped)(`Nix pushes references first, and nothing twice${why}`, async () => {
  const a = await (await machines(1)).start(['--no-mdns'])
  const [part] = closure.paths.filter((it) => it === closure.oddPath)
  await a.nix('nix', 'copy', '--to', a.node.gatewayUrl, part!)
  const first = takenIn(a)
  expect(first).toEqual([expect.any(String), expect.any(String), part]) // those it mentions, and it
  await a.nix('nix', 'copy', '--to', a.node.gatewayUrl, closure.top)
  expect(takenIn(a).toSorted()).toEqual(closure.paths.toSorted())
  expect(takenIn(a).slice(0, 3)).toEqual(first)
  await a.nix('nix', 'copy', '--refresh', '--to', a.node.gatewayUrl, closure.top)
  expect(takenIn(a)).toHaveLength(closure.paths.length)
})

test.skipIf(skipped)(`cairn import computes the path that nix-store --add does${why}`, async () => {
  const a = await (await machines(1)).start(['--no-mdns'])
  for (const path of [await oddTree(), join(directory, 'tree', 'run'), closure.oddPath]) {
    const added = (await nix('nix-store', ['--add', path])).trim()
    const { code, stdout, stderr } = await a.cairn('import', path)
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${added}\n` })
    expect(stderr).toContain('this machine alone')
    await pullAndCompare(a, ['--no-check-sigs'], [added], added)
    await nix('nix-store', ['--delete', added]).catch(() => undefined)
  }
})

test.skipIf(skipped)(
  `only what the node signs goes to neighbours${why}`,
  { timeout: 60_000 },
  async () => {
    const key = SecretKey.generate('house-1')
    const keyFile = join(directory, 'house-1.secret')
    await writeFile(keyFile, key.toString(), { mode: 0o600 })
    const trust = ['--trusted-key', key.publicKey().toString()]

    const lan = await machines(3)
    const [silent, signing] = [await lan.start(trust), await lan.start(['--signing-key', keyFile])]
    const b = await lan.start(trust)
    await meets(b, silent, signing)

    await silent.nix('nix', 'copy', '--to', silent.node.gatewayUrl, closure.top)
    expect(await status(silent, closure.top)).toBe('200')
    expect(await status(b, closure.top)).toBe('404')

    await signing.nix('nix', 'copy', '--to', signing.node.gatewayUrl, closure.oddPath)
    await until(async () => (await status(b, closure.oddPath)) === '200')
    const trusted = ['--option', 'trusted-public-keys', key.publicKey().toString()]
    await pullAndCompare(b, trusted, [closure.oddPath], closure.oddPath)
    expect(await status(b, closure.top)).toBe('404')
  },
)

async function pullAndCompare(
  on: Machine,
  trust: readonly string[],
  paths: readonly string[],
  top: string,
): Promise<void> {
  const root = join(on.directory, 'root')
  await on.nix('nix', 'copy', ...trust, '--from', on.node.gatewayUrl, '--to', root, top)
  await verifyInStore(root, ...paths)
  for (const path of paths) expect(compareTrees(path, join(root, path))).toEqual([])
}

/** The paths that a node says it took in, in that order. */
function takenIn({ node }: Machine): string[] {
  const lines = node
    .log()
    .split('\n')
    .filter((it) => it.includes('"path taken in"'))
  return lines.map((line) => JSON.parse(line).storePath)
}

async function status({ node, exec }: Machine, storePath: string): Promise<string> {
  const format = ['--silent', '--output', '/dev/null', '--write-out', '%{http_code}']
  return (await exec('curl', ...format, narInfoUrl(node.gatewayUrl, storePath))).stdout
}

async function oddTree(): Promise<string> {
  const tree = join(directory, 'tree')
  await mkdir(join(tree, 'empty'), { recursive: true })
  await writeFile(join(tree, 'run'), '#!/bin/sh\n', { mode: 0o755 })
  await writeFile(Buffer.concat([Buffer.from(`${tree}/`), Buffer.of(0xff, 0xfe)]), 'no UTF-8')
  await writeFile(join(tree, 'content'), 'x'.repeat(MIB))
  await symlink('/nowhere', join(tree, 'link'))
  return tree
}
