import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connectNode } from '../../src/daemon/client.ts'
import { until } from '../fixtures/await-peers.ts'
import { beset } from '../fixtures/beset.ts'
import { call } from '../fixtures/content.ts'
import { startDaemon } from '../fixtures/daemon-process.ts'
import {
  buildNixClosure,
  type ClosureKey,
  compareTrees,
  type NixClosure,
  nix,
  nixMissing,
  verifyInStore,
} from '../fixtures/nix-closure.ts'
import { nixCache } from '../fixtures/shared-out-caches.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'

const skipped = nixMissing()
const why = skipped === undefined ? '' : ` (${skipped})`

const stack = new AsyncDisposableStack()
let directory: string
let closure: NixClosure
let key: ClosureKey
let cache: string

beforeAll(async () => {
  if (skipped !== undefined) return
  directory = stack.use(await temporaryDirectory()).path
  const size = { paths: 10, bigFileBytes: 3_000_000, smallFiles: 100 }
  closure = stack.use(await buildNixClosure(directory, size))
  key = await closure.sign('beset-1')
  cache = await nixCache(join(directory, 'cache'), closure.top, 'none')
}, 60_000)
afterAll(() => stack.disposeAsync(), 60_000)

test.skipIf(skipped)(
  `with every neighbour hostile Nix gets what it gets without cairn${why}`,
  { timeout: 90_000 },
  async () => {
    const args = ['--no-mdns', '--upstream', `file://${cache}`, '--trusted-key', key.publicKey]
    await using node = await startDaemon({ args })
    await using neighbours = await beset(node, { cache, publicKey: key.publicKey })
    using client = connectNode(node.rpc)
    await until(async () => (await client.sources(call)).at(-1)!.state === 'ready')
    // Until the flooder is found out the others may answer later than the cache, and go unasked.
    await until(async () => (await client.peers(call)).some((it) => it.standing === 'banned'))
    const straight = await copied(`file://${cache}`, 'straight')
    const through = await copied(node.gatewayUrl, 'through')
    expect(through).toEqual(straight)
    // Whether somebody is asked for content, to lie with it, is for chance to say: nobody who has
    // wasted time is, and the cache may answer before the others do.
    const { forger, flooder, 'black hole': blackHole } = await neighbours.lies()
    for (const count of [forger, flooder, blackHole]) expect(count).toBeGreaterThan(0)
  },
)

/** What Nix knows of the closure in a new store, once it has it from there. */
async function copied(from: string, name: string): Promise<unknown[]> {
  const store = join(directory, name)
  const trust = ['--option', 'trusted-public-keys', key.publicKey]
  await nix('nix', ['copy', ...trust, '--from', from, '--to', store, closure.top])
  await verifyInStore(store, ...closure.paths)
  for (const path of closure.paths) expect(compareTrees(path, join(store, path))).toEqual([])
  const told = await nix('nix', ['path-info', '--store', store, '--json', '-r', closure.top])
  const infos = JSON.parse(told) as { path: string; registrationTime?: number }[]
  return infos
    .map(({ registrationTime: _, ...info }) => info)
    .toSorted((a, b) => (a.path < b.path ? -1 : 1))
}
