import { expect, test } from 'vitest'
import {
  JUST_MET_MS,
  NEIGHBOUR_MS_MAX,
  NEIGHBOUR_MS_MIN,
  NEIGHBOUR_PROVEN_MS,
  NEIGHBOUR_UNPROVEN_MS,
  Patience,
} from '../../src/peers/patience.ts'
import { manualClock } from '../foundation/manual-clock.ts'

function world() {
  const clock = manualClock()
  const filters = new Set<string>()
  const handlers: ((peer: string) => void)[] = []
  const network = { onConnect: (handler: (peer: string) => void) => void handlers.push(handler) }
  const proven = new Set<string>()
  const ledger = { isProven: (peer: string) => proven.has(peer) }
  const patience = new Patience({ clock, network, filters, ledger })
  const connects = (peer: string): void => {
    for (const handler of handlers) handler(peer)
  }
  const answerAfter = async (ms: number): Promise<void> => {
    const awaited = patience.asked('a')
    await clock.pass(ms)
    awaited.answered()
    awaited.over()
  }
  return { clock, filters, proven, patience, connects, answerAfter }
}

test('a peer is silent once it owes an answer for longer than it is waited for', async () => {
  const { clock, patience } = world()
  expect(patience.isSilent('a')).toBe(false)
  const awaited = patience.asked('a')
  await clock.pass(NEIGHBOUR_UNPROVEN_MS - 1)
  expect(patience.isSilent('a')).toBe(false)
  await clock.pass(1)
  expect(patience.isSilent('a')).toBe(true)
  awaited.answered()
  expect(patience.isSilent('a')).toBe(false)
  await clock.pass(NEIGHBOUR_MS_MAX)
  expect(patience.isSilent('a')).toBe(true) // of what it was asked there is more to come
  awaited.over()
  expect(patience.isSilent('a')).toBe(false)
})

test('who keeps silent is sent few more questions', async () => {
  const { clock, patience } = world()
  let questions = 0
  while (patience.mayAsk('a') && questions < 100) {
    patience.asked('a')
    questions++
    await clock.pass(NEIGHBOUR_MS_MAX)
  }
  expect(questions).toBe(8)
})

test('who usually takes long is waited for longer, but not for ever', async () => {
  const { patience, answerAfter } = world()
  expect(patience.ms('a')).toBe(NEIGHBOUR_UNPROVEN_MS)
  await answerAfter(1)
  expect(patience.ms('a')).toBe(NEIGHBOUR_MS_MIN)
  const slow = world()
  await slow.answerAfter(50)
  expect(slow.patience.ms('a')).toBe(400)
  await slow.answerAfter(60_000)
  expect(slow.patience.ms('a')).toBe(NEIGHBOUR_MS_MAX)
})

test('who has told what it shares has long, for it is asked for nothing else', async () => {
  const { clock, filters, patience, answerAfter } = world()
  await answerAfter(1)
  filters.add('a')
  expect(patience.ms('a')).toBe(NEIGHBOUR_MS_MAX)
  patience.asked('a')
  await clock.pass(NEIGHBOUR_MS_MAX - 1)
  expect(patience.isSilent('a')).toBe(false)
  await clock.pass(1)
  expect(patience.isSilent('a')).toBe(true)
})

test('who has just connected has long, too', async () => {
  const { clock, patience, connects, answerAfter } = world()
  connects('a')
  expect(patience.ms('a')).toBe(NEIGHBOUR_MS_MAX)
  await answerAfter(1)
  expect(patience.ms('a')).toBe(NEIGHBOUR_MS_MAX)
  await clock.pass(JUST_MET_MS)
  expect(patience.ms('a')).toBe(NEIGHBOUR_MS_MIN)
  expect(patience.ms('b')).toBe(NEIGHBOUR_UNPROVEN_MS)
})

test('whose filter names the path is waited for longest where it has brought much', () => {
  const { filters, proven, patience } = world()
  proven.add('a')
  expect(patience.ms('a')).toBe(NEIGHBOUR_UNPROVEN_MS)
  filters.add('a')
  expect(patience.ms('a')).toBe(NEIGHBOUR_PROVEN_MS)
  proven.delete('a')
  expect(patience.ms('a')).toBe(NEIGHBOUR_MS_MAX)
})
