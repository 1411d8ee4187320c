import { expect, test } from 'vitest'
import { AnswerTimes, FIRST_ANSWER_MS, SETTLE_MS } from '../../../src/peers/pulls/answer-times.ts'
import { manualClock } from '../../foundation/manual-clock.ts'

test('who is asked for the first time has longer', async () => {
  const clock = manualClock()
  const times = new AnswerTimes({ clock })
  expect(times.patientUntilMs('a')).toBe(FIRST_ANSWER_MS)
  await clock.pass(100)
  expect(times.patientUntilMs('a')).toBe(FIRST_ANSWER_MS)
  times.answered('a', clock.now())
  await clock.pass(FIRST_ANSWER_MS)
  expect(times.patientUntilMs('a')).toBe(clock.now() + SETTLE_MS)
  expect(times.patientUntilMs('b')).toBe(clock.now() + FIRST_ANSWER_MS)
})

test('who leaves questions unanswered is not waited for until it answers', async () => {
  const clock = manualClock()
  const times = new AnswerTimes({ clock })
  times.patientUntilMs('a')
  await clock.pass(FIRST_ANSWER_MS + 1)
  expect(times.patientUntilMs('a')).toBe(clock.now())
  times.answered('a', clock.now())
  expect(times.patientUntilMs('a')).toBe(clock.now() + SETTLE_MS)
})

test('where all are slow, all are waited for, but not for ever', async () => {
  const clock = manualClock()
  const times = new AnswerTimes({ clock })
  times.patientUntilMs('a')
  times.answered('a', clock.now())
  await clock.pass(10_000)
  const waited = (): number => times.patientUntilMs('a') - clock.now()
  const answer = (ms: number): void => times.answered('a', clock.now() - ms)
  for (let i = 0; i < 50; i++) answer(2)
  expect(waited()).toBe(SETTLE_MS)
  for (let i = 0; i < 50; i++) answer(60)
  expect(waited()).toBeGreaterThan(200)
  for (let i = 0; i < 50; i++) answer(5_000)
  expect(waited()).toBe(FIRST_ANSWER_MS)
  for (let i = 0; i < 100; i++) answer(2)
  expect(waited()).toBe(SETTLE_MS)
})
