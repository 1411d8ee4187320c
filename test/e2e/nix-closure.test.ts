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
import { type Machine, machines } from './machines.ts'

const skipped = nixMissing()
const why = skipped === undefined ? '' : ` (${skipped})`

const stack = new AsyncDisposableStack()
let closure: NixClosure
let key: ClosureKey

beforeAll(async () => {
  if (skipped !== undefined) return
  const directory = stack.use(await temporaryDirectory())
  closure = stack.use(await buildNixClosure(directory.path))
  key = await closure.sign('builder-1')
}, 120_000)
afterAll(() => stack.disposeAsync())

async function push(to: Machine, query = ''): Promise<void> {
  await to.nix('nix', 'copy', '--to', `${to.node.gatewayUrl}${query}`, closure.top)
}

/** Pulls the closure by Nix from the machine's own node, and looks at every path of it. */
async function pullAndVerify(on: Machine): Promise<void> {
  const root = join(on.directory, 'root')
  const trust = ['--option', 'trusted-public-keys', key.publicKey]
  const copy = ['copy', ...trust, '--from', on.node.gatewayUrl, '--to', root, closure.top]
  await on.nix('nix', ...copy)
  await verifyInStore(root, ...closure.paths)
  for (const path of closure.paths) {
    expect(await compareTrees(path, join(root, path))).toEqual([])
  }
}

async function pathsHeldBy({ cairn }: Machine): Promise<number> {
  return JSON.parse((await cairn('status', '--json')).stdout).storePaths
}

async function peersOf({ cairn }: Machine): Promise<number> {
  return JSON.parse((await cairn('peers', '--json')).stdout).length
}

const timed = async (what: string, work: Promise<unknown>) => {
  const t = performance.now()
  await work
  console.log(what, ((performance.now() - t) / 1000).toFixed(1))
}

test.skipIf(skipped)(
  `a closure travels by mDNS, and on from there when its first holder has gone${why}`,
  { timeout: 300_000 },
  async () => {
    await using lan = await machines(4)
    const trusting = ['--trusted-key', key.publicKey]
    const a = await lan.start(trusting)
    await timed('push xz', push(a))
    expect(await pathsHeldBy(a)).toBe(closure.paths.length)

    const b = await lan.start(trusting)
    await timed(
      'meet',
      until(async () => (await peersOf(b)) === 1),
    )
    await timed('pull', pullAndVerify(b))
    expect(await pathsHeldBy(b)).toBe(closure.paths.length)
    expect(await a.node.stop()).toBe(0)

    const c = await lan.start(trusting)
    await timed(
      'meet',
      until(async () => (await peersOf(c)) === 1),
    )
    await timed('pull', pullAndVerify(c))

    const d = await lan.start(trusting)
    await timed(
      'meet',
      until(async () => (await peersOf(d)) === 2),
    )
    const t = performance.now()
    const { code, stdout, stderr } = await d.cairn('fetch', closure.top, '--json')
    console.log('fetch', performance.now() - t)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(JSON.parse(stdout)).toMatchObject({
      pathsTotal: closure.paths.length,
      pathsDone: closure.paths.length,
      failures: [],
    })
    expect(stdout.trimEnd()).not.toContain('\n')
    expect(await pathsHeldBy(d)).toBe(closure.paths.length)
  },
)

test.skipIf(skipped)(
  `a closure travels by the DHT alone, through a node that holds nothing of it${why}`,
  { timeout: 300_000 },
  async () => {
    await using lan = await machines(4)
    const meetingPoint = await lan.start(['--no-mdns'])
    const flags = ['--no-mdns', '--bootstrap', meetingPoint.address, '--trusted-key', key.publicKey]
    const a = await lan.start(flags)
    await timed('push none', push(a, '?compression=none'))

    const b = await lan.start(flags)
    await timed('pull', pullAndVerify(b))
    expect(await a.node.stop()).toBe(0)

    const c = await lan.start(flags)
    await timed('pull', pullAndVerify(c))
    expect(await pathsHeldBy(meetingPoint)).toBe(0)
  },
)
