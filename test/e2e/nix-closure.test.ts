import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../fixtures/await-peers.ts'
import { compareTrees } from '../fixtures/compare-trees.ts'
import {
  buildNixClosure,
  type ClosureKey,
  type NixClosure,
  nixMissing,
  verifyInStore,
} from '../fixtures/nix-closure.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { type Machine, machines, meets, narInfoUrl } from './machines.ts'

const skipped = nixMissing()
const why = skipped === undefined ? '' : ` (${skipped})`
const timeout = 300_000

const stack = new AsyncDisposableStack()
let closure: NixClosure
let key: ClosureKey
/** Where finding is what counts. */
let smallClosure: NixClosure
let smallKey: ClosureKey

beforeAll(async () => {
  if (skipped !== undefined) return
  const directory = stack.use(await temporaryDirectory())
  closure = stack.use(await buildNixClosure(directory.path))
  key = await closure.sign('builder-1')
  const small = { paths: 40, bigFileBytes: 8 * 1024 * 1024, smallFiles: 1_000 }
  smallClosure = stack.use(await buildNixClosure(directory.path, small))
  smallKey = await smallClosure.sign('builder-2')
}, 120_000)
afterAll(() => stack.disposeAsync(), 60_000)

test.skipIf(skipped)(`the closure is as large and as odd as real ones are${why}`, async () => {
  const { paths, bigPath, manyPath, oddPath } = closure
  expect(paths.length).toBeGreaterThanOrEqual(100)
  expect((await stat(join(bigPath, 'blob'))).size).toBeGreaterThan(200e6)
  expect((await readdir(join(manyPath, 'many'))).length).toBe(20_000)
  const names = (await readdir(oddPath, 'buffer')).map((it) => it.toString('latin1'))
  expect(names).toEqual(expect.arrayContaining(['\xff\x80', 'empty-file', 'dangling']))
})

test.skipIf(skipped)(
  `a closure travels by mDNS, and on from there when its first holder has gone${why}`,
  { timeout },
  async () => {
    const lan = await machines(3)
    const trusting = ['--trusted-key', key.publicKey]
    const a = await lan.start(trusting)
    await push(a, closure)
    expect(await pathsHeldBy(a)).toBe(closure.paths.length)

    const b = await lan.start(trusting)
    await meets(b, a)
    await pullAndVerify(b, closure, key)
    expect(await pathsHeldBy(b)).toBe(closure.paths.length)
    expect(await a.node.stop()).toBe(0)

    const c = await lan.start(trusting)
    await meets(c, b)
    await fetchAll(c)
  },
)

test.skipIf(skipped)(
  `a closure travels by the DHT alone, through a node that holds nothing of it${why}`,
  { timeout },
  async () => {
    const lan = await machines(4)
    const meetingPoint = await lan.start(['--no-mdns'])
    const flags = [
      '--no-mdns',
      '--bootstrap',
      meetingPoint.address,
      '--trusted-key',
      smallKey.publicKey,
    ]
    const a = await lan.start(flags)
    await push(a, smallClosure)

    const b = await lan.start(flags)
    await isFindable(b, smallClosure)
    await pullAndVerify(b, smallClosure, smallKey)
    expect(await a.node.stop()).toBe(0)

    const c = await lan.start(flags)
    await isFindable(c, smallClosure)
    await pullAndVerify(c, smallClosure, smallKey)
    expect(await pathsHeldBy(meetingPoint)).toBe(0)
  },
)

async function push(to: Machine, { bigPath, top }: NixClosure): Promise<void> {
  const { gatewayUrl } = to.node
  // Random bytes, which xz would take minutes to find nothing in. All others go as Nix likes.
  await to.nix('nix', 'copy', '--to', `${gatewayUrl}?compression=none`, bigPath)
  await to.nix('nix', 'copy', '--to', gatewayUrl, top)
}

/** Pulls the closure by Nix from the machine's own node, and looks at every path of it. */
async function pullAndVerify(
  on: Machine,
  { top, paths }: NixClosure,
  key: ClosureKey,
): Promise<void> {
  const root = join(on.directory, 'root')
  const trust = ['--option', 'trusted-public-keys', key.publicKey]
  const route = ['--from', on.node.gatewayUrl, '--to', root]
  await on.nix('nix', 'copy', ...trust, ...route, top)
  await verifyInStore(root, ...paths)
  for (const path of paths) expect(compareTrees(path, join(root, path))).toEqual([])
}

async function fetchAll(on: Machine): Promise<void> {
  const { code, stdout, stderr } = await on.cairn('fetch', closure.top, '--json')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout.trimEnd()).not.toContain('\n')
  const { pathsTotal, pathsDone, failures } = JSON.parse(stdout)
  expect({ pathsTotal, pathsDone, failures }).toEqual({
    pathsTotal: closure.paths.length,
    pathsDone: closure.paths.length,
    failures: [],
  })
  expect(await pathsHeldBy(on)).toBe(closure.paths.length)
}

/** Waits until a machine's node has found a closure's top with someone. */
async function isFindable(on: Machine, { top }: NixClosure): Promise<void> {
  const url = narInfoUrl(on.node.gatewayUrl, top)
  await until(async () => (await on.exec('curl', '--silent', '--fail', url)).code === 0)
}

async function pathsHeldBy({ cairn }: Machine): Promise<number> {
  return JSON.parse((await cairn('status', '--json')).stdout).storePaths
}
