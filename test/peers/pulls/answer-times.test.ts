import { expect, test } from 'vitest'
import {
  ANSWER_MS_MAX,
  AnswerTimes,
  ASKED_MAX,
  FIRST_ANSWER_MS,
  SETTLE_MS,
} from '../../../src/peers/pulls/answer-times.ts'
import { manualClock } from '../../foundation/manual-clock.ts'

function world() {
  const clock = manualClock()
  const filters = new Set<string>()
  const times = new AnswerTimes({ clock, filters })
  const waited = (peer: string): number => times.patientUntilMs(peer) - clock.now()
  const answers = (peer: string, ms: number, count = 50): void => {
    for (let i = 0; i < count; i++) times.answered(peer, clock.now() - ms)
  }
  return { clock, filters, times, waited, answers }
}

test('who is asked for the first time has longer', async () => {
  const { clock, times, waited, answers } = world()
  expect(times.patientUntilMs('a')).toBe(FIRST_ANSWER_MS)
  await clock.pass(FIRST_ANSWER_MS)
  answers('a', 1)
  expect(waited('a')).toBe(SETTLE_MS)
  expect(waited('b')).toBe(FIRST_ANSWER_MS)
})

test('each is waited for by what it usually takes itself, but not for ever', async () => {
  const { clock, waited, answers } = world()
  for (const peer of ['quick', 'slow', 'slowest']) waited(peer)
  await clock.pass(FIRST_ANSWER_MS)
  answers('quick', 2)
  answers('slow', 60)
  answers('slowest', 60_000)
  expect([waited('quick'), waited('slow'), waited('slowest')].map(Math.round)).toEqual([
    SETTLE_MS,
    240,
    ANSWER_MS_MAX,
  ])
  answers('slowest', 2)
  expect(waited('slowest')).toBe(SETTLE_MS)
})

test('who owes an answer will take no less for the next one', async () => {
  const { clock, waited, answers } = world()
  waited('a')
  await clock.pass(FIRST_ANSWER_MS)
  answers('a', 2)
  expect(waited('a')).toBe(SETTLE_MS)
  await clock.pass(200)
  expect(waited('a')).toBe(800)
})

test('who has never answered is not waited for until it does', async () => {
  const { clock, waited, answers } = world()
  waited('a')
  await clock.pass(FIRST_ANSWER_MS + 1)
  expect(waited('a')).toBe(0)
  answers('a', 1)
  expect(waited('a')).toBe(SETTLE_MS)
})

test('nor for long who once did, or has told what it shares', async () => {
  const { clock, filters, waited, answers } = world()
  filters.add('b')
  answers('a', 1)
  for (const peer of ['a', 'b']) waited(peer)
  await clock.pass(ANSWER_MS_MAX)
  expect([waited('a'), waited('b')]).toEqual([ANSWER_MS_MAX, ANSWER_MS_MAX])
  await clock.pass(1)
  expect([waited('a'), waited('b')]).toEqual([0, 0])
})

test('of very many neighbours the first are forgotten', async () => {
  const { clock, waited, answers } = world()
  answers('a', 1)
  for (let i = 0; i < ASKED_MAX; i++) waited(`${i}`)
  await clock.pass(FIRST_ANSWER_MS)
  expect(waited('a')).toBe(FIRST_ANSWER_MS) // as if it were new
})
