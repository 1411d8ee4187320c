import { expect, test } from 'vitest'
import { boundOf } from '../../simulations/checkers/swarm-checks.ts'
import { svgOf } from '../../simulations/report/chart.ts'
import { tableOf } from '../../simulations/report/report.ts'
import { SCENARIOS } from '../../simulations/scenarios/scenarios.ts'
import { LAB_REQUEST_MS, makespanOf } from '../../simulations/scenarios/swarm-scenarios.ts'
import { runSwarm, type SwarmOptions } from '../../simulations/world/swarm-world.ts'

/** Seeds of each world; `npm run simulate` takes any number. */
const SEEDS = [1, 2]

/** What `npm run lan -- blob` measured, the middle of several runs, in T and in copies. */
const LAB = { makespan: 1.32, copies: 1.13 }

/** Worlds in which everything has to come to a good end. */
const WORLDS: Readonly<Record<string, Partial<SwarmOptions>>> = {
  'all at once': { nodes: 16 },
  'few links': { nodes: 24, degree: 5 },
  'a flash crowd': { nodes: 16, arrivalMs: 2_000 },
  'a rolling deploy': { nodes: 24, degree: 5, arrivalMs: 40_000, named: 3 },
  churn: { nodes: 16, churnRate: 400, awayMs: 1_000 },
  liars: { nodes: 16, liars: 3 },
  'black holes': { nodes: 16, blackHoles: 2 },
  stragglers: { nodes: 12, stragglers: 2 },
  everything: { nodes: 20, liars: 2, blackHoles: 1, churnRate: 200, arrivalMs: 3_000, named: 23 },
}

test.each(Object.entries(WORLDS))(
  '%s: all get everything, liars alone are banned',
  async (_, options) => {
    for (const seed of SEEDS) {
      const fate = await runSwarm({ pieces: 96, ...options, seed })
      expect(fate.violations, `seed ${seed}`).toEqual([])
      expect(fate.failures, `seed ${seed}`).toBe(0)
      if ('liars' in options) expect(fate.bans, `seed ${seed}`).toBeGreaterThan(0)
    }
  },
)

test('eight nodes on a LAN take little more than the bound, and little more than one copy', async () => {
  for (const seed of SEEDS) {
    const fate = await runSwarm({ seed })
    expect(makespanOf(fate)).toBeLessThan(1.25 * boundOf(7, 256))
    expect(fate.originCopies).toBeLessThan(1.2)
  }
})

test('the world agrees with the LAN lab within 15 %', async () => {
  for (const seed of SEEDS) {
    const fate = await runSwarm({ requestMs: LAB_REQUEST_MS, seed })
    expect(Math.abs(makespanOf(fate) / LAB.makespan - 1)).toBeLessThan(0.15)
    expect(Math.abs(fate.originCopies / LAB.copies - 1)).toBeLessThan(0.15)
  }
})

test('where all know each other, little leaves the origin twice', async () => {
  for (const seed of SEEDS) {
    const fate = await runSwarm({ nodes: 24, seed })
    expect(fate.originCopies).toBeLessThan(1.27)
    expect(makespanOf(fate)).toBeLessThan(1.35)
  }
})

test('what is rarest goes first: with few links the last pieces are not late', async () => {
  for (const seed of SEEDS) {
    const options = { nodes: 24, degree: 6, overhead: 1, seed }
    expect(makespanOf(await runSwarm(options))).toBeLessThan(1.4)
  }
})

test('a seed gives the same table and chart again, to the byte; another gives others', async () => {
  const told = async (seed: number) => {
    const report = await SCENARIOS.liars!.run({ seed, nodes: [12] })
    return `${tableOf(report)}${svgOf(report)}`
  }
  const first = await told(5)
  expect(first).toContain('<svg')
  expect(await told(5)).toBe(first)
  expect(await told(6)).not.toBe(first)
})
