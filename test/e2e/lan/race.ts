import type { Call } from '../../../src/foundation/call.ts'
import { median } from '../../bench/measure.ts'
import type { Content } from './content.ts'
import type { LabNode } from './lab-node.ts'
import type { LabOptions, World } from './world.ts'

/** How many times as long as one source alone would take a race may last before it is given up. */
const PATIENCE = 5

const PATIENCE_MS_MIN = 60_000

/** What is fetched in a race. */
export interface Goods {
  readonly storePath: string
  readonly content: Content
}

/** What a race came to. */
export interface Race {
  /** From the first fetch to the last end. */
  readonly seconds: number
  /** How long each fetcher took from the moment that it was asked, in seconds. */
  readonly ownSeconds: readonly number[]
  /** What crossed the seed's link outwards, with all headers, in bytes. */
  readonly seedSentBytes: number
  /** What crossed the fetchers' links inwards, in bytes. */
  readonly receivedBytes: number
  /** Processor time of the nodes in all. */
  readonly cpuSeconds: number
  /** What must never be: a fetch that failed, bytes that are wrong. */
  readonly wrong: readonly string[]
}

/** Has one fetcher get the goods; records how long it took, or why it failed. */
export type Run = (fetcher: LabNode) => Promise<void>

/** Shapes the links, has fetchers run as `play` says, and measures from its begin to its end. */
export async function race(
  world: World,
  goods: Goods,
  play: (run: Run, call: Call) => Promise<unknown> = (run) => Promise.all(world.fetchers.map(run)),
): Promise<Race> {
  const { lan, seed, fetchers } = world
  await lan.shape()
  const wrong: string[] = []
  const ownSeconds: number[] = []
  const call = { signal: AbortSignal.timeout(patienceMs(world, goods.content)) }
  const cpuSeconds = (): number =>
    [seed, ...fetchers].reduce((sum, node) => sum + node.cpuSeconds(), 0)
  const cpuBefore = cpuSeconds()
  const before = await lan.traffic()
  const start = performance.now()
  await play(async (fetcher) => {
    const begun = performance.now()
    await fetcher.fetch(goods.storePath, call).catch((error: Error) => {
      wrong.push(`node ${fetchers.indexOf(fetcher) + 1} could not fetch: ${error.message}`)
    })
    ownSeconds.push((performance.now() - begun) / 1000)
  }, call)
  const seconds = (performance.now() - start) / 1000
  const after = await lan.traffic()
  const cpu = cpuSeconds() - cpuBefore
  const seedSentBytes = after[0]!.sentBytes - before[0]!.sentBytes
  const received = fetchers.map(
    (_, i) => after[i + 1]!.receivedBytes - before[i + 1]!.receivedBytes,
  )
  const receivedBytes = received.reduce((sum, bytes) => sum + bytes, 0)
  for (const [i, fetcher] of fetchers.entries()) {
    const sha256 = await fetcher.narSha256(goods.storePath).catch((error: Error) => error.message)
    if (sha256 !== goods.content.narSha256) wrong.push(`node ${i + 1} gives other bytes: ${sha256}`)
  }
  return { seconds, ownSeconds, seedSentBytes, receivedBytes, cpuSeconds: cpu, wrong }
}

/** The median of several races by how long they took, with what was wrong in any. */
export async function medianRace(runs: number, one: () => Promise<Race>): Promise<Race> {
  const races: Race[] = []
  for (let i = 0; i < runs; i++) races.push(await one())
  const seconds = median(races.map((it) => it.seconds))
  const typical = races.find((it) => it.seconds === seconds)!
  return { ...typical, wrong: races.flatMap((it) => it.wrong) }
}

/** T: how long content takes to cross one link, in seconds. */
export function linkSeconds(bytes: number, { megabits }: Pick<LabOptions, 'megabits'>): number {
  return (bytes * 8) / (megabits * 1e6)
}

function patienceMs({ lan, fetchers }: World, { bytes }: Content): number {
  const ms = PATIENCE * fetchers.length * linkSeconds(bytes, lan) * 1000
  return Math.max(PATIENCE_MS_MIN, Math.ceil(ms))
}
