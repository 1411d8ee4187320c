import { expect, test } from 'vitest'
import { silentLog } from '../../src/foundation/log.ts'
import { PathFacts } from '../../src/pathinfo/path-facts.ts'
import {
  AHEAD_BYTES_MAX,
  ClosureAhead,
  DESCRIBED_AHEAD_MAX,
} from '../../src/substitution/closure-ahead.ts'
import { pathNamed } from '../fixtures/claims.ts'
import { noise } from '../fixtures/content.ts'
import { manualClock, settled } from '../foundation/manual-clock.ts'

type References = Readonly<Record<string, readonly string[]>>

/** A node around which there are some paths, and none here. */
function world(references: References, init: { bytesMax?: number; sizes?: object } = {}) {
  const names = new Map(Object.keys(references).map((it) => [pathNamed(it).hashText, it]))
  const nameOf = (hash: Uint8Array): string =>
    [...names.values()].find((it) => Buffer.from(hash).equals(pathNamed(it).hash))!
  const sizes = (init.sizes ?? {}) as Record<string, number>
  const factsOf = (name: string): PathFacts =>
    new PathFacts({
      storePath: pathNamed(name),
      narSize: sizes[name] ?? 1_000,
      narSha256: Uint8Array.from(noise(32, name)),
      references: references[name]!.map(pathNamed),
    })
  const asked: string[] = []
  const fetched: string[] = []
  const held = new Set<string>()
  const substituter = {
    isOffered: (hash: Uint8Array) => !held.has(nameOf(hash)),
    describe: async (hash: Uint8Array) => {
      asked.push(nameOf(hash))
      return factsOf(nameOf(hash))
    },
    obtain: async (hash: Uint8Array) => {
      fetched.push(nameOf(hash))
      return undefined
    },
  }
  const ahead = new ClosureAhead({ substituter, clock: manualClock(), log: silentLog }, init)
  const tell = async (name: string): Promise<void> => {
    ahead.described(pathNamed(name).hash, factsOf(name))
    await settled()
  }
  const take = async (name: string): Promise<void> => {
    ahead.asked(pathNamed(name).hash)
    await settled()
  }
  return { ahead, tell, take, asked, fetched, held }
}

const DIAMOND: References = {
  top: ['left', 'right', 'top'],
  left: ['base'],
  right: ['base', 'own'],
  base: [],
  own: [],
  other: [],
}

test('who goes from a path to what it refers to is gone ahead of', async () => {
  const { tell, asked } = world(DIAMOND)
  await tell('top')
  expect(asked).toEqual([]) // perhaps it only wants to know of this one
  await tell('right')
  expect(asked.toSorted()).toEqual(['base', 'own'])
})

test('no further than so many paths, deep rather than wide', async () => {
  const chain = Array.from({ length: 200 }, (_, i) => [`p${i}`, i < 199 ? [`p${i + 1}`] : []])
  const { tell, asked } = world(Object.fromEntries(chain))
  await tell('p0')
  await tell('p1')
  expect(asked.length).toBe(DESCRIBED_AHEAD_MAX)
  await tell('p2')
  expect(asked.length).toBe(DESCRIBED_AHEAD_MAX + 1)
  expect(asked.at(-1)).toBe(`p${DESCRIBED_AHEAD_MAX + 2}`)
})

test('who takes a path of a closure has all of it fetched that it was told of', async () => {
  const { tell, take, fetched } = world(DIAMOND)
  for (const name of ['other', 'top', 'left', 'right', 'base']) await tell(name)
  expect(fetched).toEqual([])
  await take('base')
  expect(fetched.toSorted()).toEqual(['left', 'right', 'top'])
  expect(fetched.at(-1)).toBe('top') // what refers to the others comes last
  await tell('own')
  expect(fetched.at(-1)).toBe('own')
})

test('what is here, or too large, or of another closure is not fetched', async () => {
  const sizes = { left: AHEAD_BYTES_MAX + 1 }
  const { tell, take, fetched, held } = world(DIAMOND, { sizes })
  held.add('right')
  for (const name of ['other', 'top', 'left', 'right', 'base']) await tell(name)
  await take('base')
  expect(fetched).toEqual(['top'])
})

test('content is fetched no further ahead than so many bytes', async () => {
  const { tell, take, fetched } = world(DIAMOND, { bytesMax: 2_500 })
  for (const name of ['top', 'left', 'right', 'own', 'base']) await tell(name)
  await take('base')
  expect(fetched.length).toBe(2)
  await take(fetched[0]!)
  expect(fetched.length).toBe(3)
})

test('it goes ahead of nobody where that is not wanted', async () => {
  const { tell, take, asked, fetched } = world(DIAMOND, { bytesMax: 0 })
  for (const name of ['top', 'left', 'right', 'base']) await tell(name)
  await take('base')
  expect([...asked, ...fetched]).toEqual([])
})
