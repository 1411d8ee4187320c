import fc from 'fast-check'
import { expect, test } from 'vitest'
import { progressiveFilling } from '../../simulations/checkers/progressive-filling.ts'
import { FairLinks, type Flow } from '../../simulations/world/fair-links.ts'
import { VirtualClock } from '../../simulations/world/virtual-clock.ts'

const NODES = 8

const line = fc.record({
  up: fc.integer({ min: 1, max: 40 }),
  down: fc.integer({ min: 1, max: 40 }),
})
const end = fc.integer({ min: 0, max: NODES - 1 })
/** A flow begins, or one that is there ends. */
const step = fc.record({ from: end, to: end, ends: fc.option(fc.nat(), { nil: undefined }) })

/** What is under way after the steps, and the share of each, beside its fair one. */
function sharesAfter(
  lines: readonly { up: number; down: number }[],
  steps: readonly { from: number; to: number; ends: number | undefined }[],
  tolerance: number,
): { rates: number[]; fair: number[] } {
  const links = new FairLinks({ clock: new VirtualClock() }, { tolerance })
  for (const it of lines) links.add(it)
  let under: { flow: Flow; from: number; to: number }[] = []
  for (const { from, to, ends } of steps) {
    if (ends === undefined || under.length === 0) {
      under.push({ flow: links.begin(from, to, 1e6, () => undefined), from, to })
    } else {
      const { flow } = under[ends % under.length]!
      links.end(flow)
      under = under.filter((it) => it.flow !== flow)
    }
  }
  return { rates: under.map(({ flow }) => flow.bytesPerMs), fair: progressiveFilling(lines, under) }
}

const worlds = [
  fc.array(line, { minLength: NODES, maxLength: NODES }),
  fc.array(step, { maxLength: 60 }),
] as const

test('with a tolerance of 0 every flow has its max-min fair share', () => {
  const property = fc.property(...worlds, (lines, steps) => {
    const { rates, fair } = sharesAfter(lines, steps, 0)
    for (const [i, rate] of rates.entries()) expect(rate / fair[i]!).toBeCloseTo(1, 5)
  })
  fc.assert(property, { numRuns: 500, seed: 1 })
})

test('with a tolerance of 1 % shares are off by little', () => {
  let worst = 0
  const property = fc.property(...worlds, (lines, steps) => {
    const { rates, fair } = sharesAfter(lines, steps, 0.01)
    for (const [i, rate] of rates.entries()) worst = Math.max(worst, Math.abs(rate / fair[i]! - 1))
  })
  fc.assert(property, { numRuns: 500, seed: 1 })
  expect(worst).toBeLessThan(0.1)
})

test('flows end when their bytes have come, however their shares change', async () => {
  const clock = new VirtualClock()
  const links = new FairLinks({ clock }, { tolerance: 0 })
  for (let i = 0; i < 3; i++) links.add({ up: 10, down: 10 })
  const ends: [string, number][] = []
  const note = (name: string) => () => void ends.push([name, clock.now()])
  links.begin(0, 1, 1000, note('first')) // 5 a ms until 100 ms, then 10
  links.begin(0, 2, 500, note('second'))
  await clock.run(() => false)
  expect(ends).toEqual([
    ['second', 100],
    ['first', 150],
  ])
})
