import { expect, test } from 'vitest'
import { AnotherLook, isSearched, LOOKING_MS_MAX } from '../../src/substitution/another-look.ts'
import type { PathSource } from '../../src/substitution/path-source.ts'
import { pathNamed } from '../fixtures/claims.ts'
import { call } from '../fixtures/content.ts'
import { watched } from '../fixtures/watched.ts'
import { manualClock, settled } from '../foundation/manual-clock.ts'

const { hash } = pathNamed('wanted')

function sourceThat(isSearching: () => boolean): PathSource {
  return { name: 'it', priority: 0, limitMs: 1_000, isSearching, async *find() {} }
}

test('it is due while a source goes on looking, after a moment each time', async () => {
  const clock = manualClock()
  let isSearching = true
  const idle = sourceThat(() => false)
  const sources = watched(
    idle,
    sourceThat(() => isSearching),
  )
  const look = new AnotherLook({ sources, clock }, hash)
  const due = look.isDue(call)
  await settled()
  expect(clock.sleepers).toBe(1)
  await clock.pass(20)
  expect(await due).toBe(true)
  isSearching = false
  expect(isSearched(sources, hash)).toBe(false)
  expect(await look.isDue(call)).toBe(false)
})

test('a source that looks for ever is not waited for so long', async () => {
  const clock = manualClock()
  const look = new AnotherLook({ sources: watched(sourceThat(() => true)), clock }, hash)
  let looks = 0
  for (;;) {
    const due = look.isDue(call)
    await clock.pass(20)
    if (!(await due)) break
    looks++
    if (clock.now() > 2 * LOOKING_MS_MAX) break
  }
  expect(clock.now()).toBeGreaterThanOrEqual(LOOKING_MS_MAX)
  expect(clock.now()).toBeLessThan(2 * LOOKING_MS_MAX)
  expect(looks).toBeGreaterThan(1)
})
