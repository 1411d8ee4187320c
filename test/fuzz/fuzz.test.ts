import { describe, expect, test } from 'vitest'
import { fuzz, tryInput } from './fuzz-run.ts'
import type { FuzzTarget } from './fuzz-target.ts'
import { TARGETS } from './targets/targets.ts'

/** How many mutated inputs each decoder gets; `npm run fuzz -- NAME` goes on without end. */
const RUNS = 10_000

/** Always the same, so that a failure is one of this change and not of this run. */
const SEED = 20_261_121

describe.each(TARGETS)('$name', (target) => {
  test('bad input is refused in words, good input reads back', { timeout: 60_000 }, async () => {
    const { accepted } = await fuzz(target, { seed: SEED, runs: target.testRuns ?? RUNS })
    expect(accepted).toBeGreaterThan(0) // or else the inputs say nothing
  })
})

test('the fuzzer notices a decoder that crashes, hangs or lets something through', async () => {
  const broken: FuzzTarget = {
    name: 'broken',
    seeds: [Uint8Array.of(1)],
    check: (input) => {
      if (input[0] === 7) throw new TypeError('oh')
    },
    isRefusal: (error) => error instanceof RangeError,
  }
  expect(await tryInput(broken, Uint8Array.of(1))).toBe(true)
  await expect(tryInput(broken, Uint8Array.of(7))).rejects.toThrow('TypeError: oh')
  await expect(fuzz(broken, { seed: 1, runs: 5000 })).rejects.toThrow('broken breaks on')
})
