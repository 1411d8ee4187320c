import { expect, test } from 'vitest'
import { crashRun } from './crash-run.ts'

/** `npm run crash` takes any number. */
const KILLS = 5

test('a node that is killed under load has all that it acknowledged, at once and by itself', {
  timeout: 120_000,
}, async () => {
  const report = await crashRun({ kills: KILLS, seed: 3 })
  expect(report.faults).toEqual([])
  expect(report.kills).toBe(KILLS)
  expect(Object.values(report.acknowledged).reduce((a, b) => a + b)).toBeGreaterThan(KILLS)
  expect(report.slowestStartMs).toBeLessThan(10_000)
})
