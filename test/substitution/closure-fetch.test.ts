import { expect, test } from 'vitest'
import { seededRandom } from '../../src/foundation/random.ts'
import { systemClock } from '../../src/foundation/system-clock.ts'
import { PathFacts } from '../../src/pathinfo/path-facts.ts'
import type { PathInfo } from '../../src/pathinfo/path-info.ts'
import {
  ClosureFetch,
  PATHS_AT_ONCE,
  type PathOutcome,
  QUESTIONS_AT_ONCE,
} from '../../src/substitution/closure-fetch.ts'
import { pathNamed } from '../fixtures/claims.ts'
import { call, noise } from '../fixtures/content.ts'
import { settled } from '../foundation/manual-clock.ts'

const LEAVES = Array.from({ length: 40 }, (_, i) => pathNamed(`leaf-${i}`))
const TOP = pathNamed('top')
const facts = (path = TOP, references = LEAVES, narSize = 1_000): PathFacts =>
  new PathFacts({ storePath: path, narSize, narSha256: noise(32), references })
const CLOSURE = [facts(), ...LEAVES.map((path) => facts(path, []))]

/** A substituter that knows these paths, and notes what is asked of it. */
function world(known: readonly PathFacts[], init: { seed?: number; isHeld?: boolean } = {}) {
  const byHash = new Map(known.map((it) => [it.storePath.hashText, it]))
  const nameOf = (hash: Uint8Array) =>
    [...known.map((it) => it.storePath), ...LEAVES].find((it) => Buffer.from(it.hash).equals(hash))!
  const obtained: string[] = []
  const most = { questions: 0, fetches: 0 }
  const now = { questions: 0, fetches: 0 }
  const during = async <T>(what: 'questions' | 'fetches', give: () => T): Promise<T> => {
    most[what] = Math.max(most[what], ++now[what])
    await settled()
    now[what]--
    return give()
  }
  const substituter = {
    describe: (hash: Uint8Array) => during('questions', () => byHash.get(nameOf(hash).hashText)),
    obtain: (hash: Uint8Array) => {
      obtained.push(nameOf(hash).name)
      return during('fetches', () => byHash.get(nameOf(hash).hashText) as PathInfo | undefined)
    },
    mayCome: () => false,
  }
  const random = seededRandom(init.seed ?? 1)
  const fetch = new ClosureFetch({ substituter, clock: systemClock, random }, { closure: true })
  const outcomes: PathOutcome[] = []
  const run = () => fetch.run([TOP], (outcome) => void outcomes.push(outcome), call)
  return { fetch, run, outcomes, obtained, most }
}

test('all of a closure comes, each path once, and so many at a time', async () => {
  const { fetch, run, outcomes, obtained, most } = world(CLOSURE)
  await run()
  expect(obtained.toSorted()).toEqual(CLOSURE.map((it) => it.storePath.name).toSorted())
  expect(outcomes.map(({ error }) => error)).toEqual(CLOSURE.map(() => undefined))
  expect(fetch.progress).toMatchObject({ pathsTotal: CLOSURE.length, pathsDone: CLOSURE.length })
  expect(most).toEqual({ questions: QUESTIONS_AT_ONCE, fetches: PATHS_AT_ONCE })
})

test('each node has an order of its own', async () => {
  const orders = [1, 2].map((seed) => world(CLOSURE, { seed }))
  for (const { run } of orders) await run()
  const [one, two] = orders.map(({ obtained }) => obtained.slice(0, 10))
  expect(one).not.toEqual(two)
})

test('what is longest is not begun last', async () => {
  const known = [facts(), ...LEAVES.map((path, i) => facts(path, [], i === 30 ? 1e9 : 1_000))]
  const { run, obtained } = world(known)
  await run()
  expect(obtained.indexOf('leaf-30')).toBeLessThan(obtained.length / 2)
})

test('what nobody has is told, and keeps nothing else from coming', async () => {
  const { run, outcomes, obtained } = world(CLOSURE.filter((_, i) => i !== 5))
  await run()
  const failed = outcomes.filter(({ error }) => error !== undefined)
  expect(failed.map(({ storePath }) => storePath.name)).toEqual(['leaf-4'])
  expect(`${failed[0]!.error}`).toContain('nobody who is reached has')
  expect(obtained).toHaveLength(CLOSURE.length - 1)
})
