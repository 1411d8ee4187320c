import { expect, test } from 'vitest'
import {
  HEAD_START_MAX_MS,
  PATIENCE_MAX_MS,
  PATIENCE_MIN_MS,
  type SourceView,
  turnsOf,
  UNPROVEN_MS,
} from '../../src/substitution/source-order.ts'

function view(name: string, fields: Partial<SourceView> = {}): SourceView {
  return { name, priority: 40, isBenched: false, latencyMs: 10, ...fields }
}

function names(...views: SourceView[]): string[] {
  return turnsOf(views).map(({ name }) => name)
}

test('a lower priority number is asked first, and among equals who answers soonest', () => {
  const slow = view('slow', { latencyMs: 300 })
  const near = view('near', { priority: 0, latencyMs: 900 })
  expect(names(slow, view('fast'), near)).toEqual(['near', 'fast', 'slow'])
})

test('what nobody knows of is asked after who answers fast, before who answers slowly', () => {
  const fresh = view('fresh', { latencyMs: undefined })
  const slow = view('slow', { latencyMs: 2 * UNPROVEN_MS })
  expect(names(slow, fresh, view('fast'))).toEqual(['fast', 'fresh', 'slow'])
})

test('the order does not depend on the one they are given in', () => {
  expect(names(view('b'), view('a'))).toEqual(names(view('a'), view('b')))
})

test('who is benched is left out', () => {
  expect(names(view('gone', { isBenched: true, priority: 0 }), view('here'))).toEqual(['here'])
})

test('who is likely to have nothing that is good has no head start', () => {
  const [turn] = turnsOf([view('doubtful', { isDoubtful: true }), view('other')])
  expect(turn).toMatchObject({ name: 'doubtful', headStartMs: 0 })
})

test('nobody is waited for longer than its history explains', () => {
  const patience = (latencyMs: number | undefined, ownLimitMs?: number): number =>
    turnsOf([view('it', { latencyMs, ownLimitMs })])[0]!.patienceMs
  expect(patience(undefined)).toBe(UNPROVEN_MS)
  expect(patience(1)).toBe(PATIENCE_MIN_MS)
  expect(patience(100)).toBe(800)
  expect(patience(60_000)).toBe(PATIENCE_MAX_MS)
  expect(patience(1, 3_000)).toBe(3_000)
})

test('who is sending content is waited for: its line is full', () => {
  const [turn] = turnsOf([view('it', { latencyMs: 1, isDelivering: true })])
  expect(turn!.patienceMs).toBe(PATIENCE_MAX_MS)
})

test('a head start is short, whoever has it', () => {
  const headStart = (latencyMs: number | undefined): number =>
    turnsOf([view('it', { latencyMs })])[0]!.headStartMs
  expect(headStart(2)).toBe(6)
  expect(headStart(5_000)).toBe(HEAD_START_MAX_MS)
  expect(headStart(undefined)).toBeLessThanOrEqual(HEAD_START_MAX_MS)
})
