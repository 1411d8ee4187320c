import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PLACES } from '../../../src/peers/announcing/key-table.ts'
import {
  afterStep,
  cutFor,
  firstRound,
  isOutgrown,
  placesOf,
  REPUBLISH_MS,
  type Round,
  STEP_KEYS_MIN,
  SWEEP_STEPS_MAX,
  stepDueMs,
} from '../../../src/peers/announcing/sweep-plan.ts'

const RECORD_HOURS = 48

test('the names come first, then everything, and then it is spread over the interval', () => {
  let round = firstRound(0)
  expect(round).toMatchObject({ what: 'roots', isHurried: true })
  round = afterStep(round, 'all', 10)
  expect(round).toMatchObject({ what: 'all', isHurried: true })
  expect(stepDueMs(round, REPUBLISH_MS, 10)).toBe(0)
  round = afterStep(round, 'all', 20)
  expect(round).toMatchObject({ what: 'all', isHurried: false, startedMs: 20 })
  expect(stepDueMs(round, REPUBLISH_MS, 20)).toBe(REPUBLISH_MS)
})

test('where only names are announced, one hurried round is enough', () => {
  expect(afterStep(firstRound(0), 'roots', 5)).toMatchObject({ what: 'roots', isHurried: false })
})

test('the steps of a round cover the key space without gap or overlap', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2_000_000 }), (keys) => {
      let round = cutFor(firstRound(0), keys)
      expect(round.steps).toBeLessThanOrEqual(SWEEP_STEPS_MAX)
      if (keys >= STEP_KEYS_MIN) expect(keys / round.steps).toBeGreaterThanOrEqual(STEP_KEYS_MIN)
      let at = 0
      for (let i = round.steps; i > 0; i--) {
        const { from, to } = placesOf(round)
        expect(from).toBe(at)
        at = to
        round = { ...round, step: round.step + 1 }
      }
      expect(at).toBe(PLACES)
    }),
  )
})

test('what is announced in one round is announced in the next before it is forgotten', () => {
  const steps = fc.integer({ min: 1, max: SWEEP_STEPS_MAX })
  fc.assert(
    fc.property(steps, fc.integer({ min: 0, max: 3_600_000 }), (count, lateMs) => {
      const told = new Map<number, number>()
      let round: Round = { what: 'all', isHurried: false, startedMs: 0, step: 0, steps: count }
      let nowMs = 0
      for (let i = 0; i < 3 * count; i++) {
        nowMs += stepDueMs(round, REPUBLISH_MS, nowMs)
        const gapMs = nowMs - (told.get(round.step) ?? nowMs)
        expect(gapMs).toBeLessThan(RECORD_HOURS * 3_600_000)
        told.set(round.step, nowMs)
        nowMs += lateMs / count // what announcing the step takes
        round = afterStep(round, 'all', nowMs)
      }
      expect(told.size).toBe(count)
    }),
  )
})

test('a network that grows is told anew, a few times only', () => {
  let told = 1
  let rounds = 0
  for (let reach = 1; reach <= 20; reach++) {
    if (!isOutgrown(told, reach)) continue
    told = reach
    rounds++
  }
  expect(rounds).toBeLessThanOrEqual(7)
  expect(told).toBeGreaterThanOrEqual(14)
  expect(isOutgrown(0, 5)).toBe(false)
})
