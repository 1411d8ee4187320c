import type { ReadableCastore } from '../../src/castore/castore.ts'
import { Digest } from '../../src/foundation/digest.ts'
import { silentLog } from '../../src/foundation/log.ts'
import type { LocalPathInfoStore } from '../../src/pathinfo/path-info-store.ts'
import { Sweep } from '../../src/peers/announcing/sweep.ts'
import { Teller } from '../../src/peers/announcing/telling.ts'
import { DhtRouter } from '../../src/peers/routing/dht-router.ts'
import type { Announced, Router } from '../../src/peers/routing/router.ts'
import { DhtWorld } from '../world/dht-world.ts'
import { lightAborts } from '../world/light-abort.ts'
import { VirtualClock } from '../world/virtual-clock.ts'
import type { Scenario } from './scenario.ts'

const DAY_MS = 24 * 3_600_000

/** How many digests each node announces. */
const DIGESTS = 100_000

/** What one node that announces did on one day. */
interface Day {
  readonly day: number
  readonly keys: number
  readonly bytes: number
  readonly lookups: number
  readonly streams: number
}

/** What announcing costs: the sweep, the teller and the router that production runs, for days. */
export const ANNOUNCING: Scenario = {
  what: `what announcing ${DIGESTS} digests costs a node each day`,
  run: async ({ seed, nodes = [500] }) => {
    const rows: string[][] = []
    for (const size of nodes) {
      for (const it of await announce({ nodes: size, digests: DIGESTS, days: 3 })) {
        const megabytes = `${(it.bytes / 1e6).toFixed(0)} MB`
        const counts = [it.keys, it.lookups, it.streams].map(String)
        rows.push([String(size), String(DIGESTS), String(it.day), megabytes, ...counts])
      }
    }
    return {
      title: `Announcing, seed ${seed} (nothing here is left to chance)`,
      columns: ['nodes', 'digests', 'day', 'sent', 'keys', 'lookups', 'streams'],
      rows,
      violations: [],
    }
  },
}

/** Lets a node with one path of so many chunks announce for so many days. */
export async function announce(init: {
  readonly nodes: number
  readonly digests: number
  readonly days: number
}): Promise<Day[]> {
  using _light = lightAborts()
  const clock = new VirtualClock()
  const world = new DhtWorld(init)
  const stopping = new AbortController()
  const counted = countedRouter(new DhtRouter({ routing: world, self: world.self, clock }))
  const { router } = counted
  const teller = new Teller({ router, clock, log: silentLog }, {})
  const store = storeOf(init.digests)
  const sweep = new Sweep({ router, teller, clock, log: silentLog, ...store }, { what: 'all' })
  const running = sweep.run({ signal: stopping.signal }).catch(() => undefined)
  const days: Day[] = []
  const before = { keys: 0, bytes: 0, lookups: 0, streams: 0 }
  for (let day = 1; day <= init.days; day++) {
    await clock.run(() => clock.now() >= day * DAY_MS)
    const now = { ...counted.sums, lookups: world.counts.lookups, streams: world.counts.streams }
    days.push({
      day,
      keys: now.keys - before.keys,
      bytes: now.bytes - before.bytes,
      lookups: now.lookups - before.lookups,
      streams: now.streams - before.streams,
    })
    Object.assign(before, now)
  }
  stopping.abort(new Error('it is over'))
  await running
  return days
}

/** The router, and what went through it by its own reckoning. */
function countedRouter(inner: DhtRouter): {
  readonly router: Router
  readonly sums: { keys: number; bytes: number }
} {
  const sums = { keys: 0, bytes: 0 }
  const router: Router = {
    get reach() {
      return inner.reach
    },
    holders: (key, call) => inner.holders(key, call),
    announce: async (keys, call): Promise<Announced> => {
      const done = await inner.announce(keys, call)
      sums.keys += done.keys
      sums.bytes += done.bytes
      return done
    },
    withdraw: (key, call) => inner.withdraw(key, call),
  }
  return { router, sums }
}

/** A store with one path: a file of so many chunks, less the two names of the path and the file. */
function storeOf(digests: number): {
  readonly pathInfos: LocalPathInfoStore
  readonly castore: ReadableCastore
  readonly share: { shares: () => boolean }
} {
  const named = (number: number): Digest => {
    const name = Buffer.alloc(32)
    name.writeUInt32BE(number)
    return Digest.of(name)
  }
  const node = { type: 'file', digest: named(0), size: digests * 65_536, executable: false }
  const layout = Array.from({ length: digests - 2 }, (_, i) => ({
    digest: named(i + 1),
    size: 65_536,
  }))
  const pathInfo = { storePath: { hash: new Uint8Array(20) }, node }
  const pathInfos = {
    list: async function* () {
      yield pathInfo
    },
  }
  const castore = { directories: {}, blobs: { layouts: async () => [layout] } }
  return {
    pathInfos: pathInfos as unknown as LocalPathInfoStore,
    castore: castore as unknown as ReadableCastore,
    share: { shares: () => true },
  }
}
