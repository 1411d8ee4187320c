import { expect, test } from 'vitest'
import {
  SEARCH_WAIT_MIN_MS,
  SEARCH_WAIT_MS,
  SearchWait,
  VAIN_WAIT_MS,
} from '../../src/peers/search-wait.ts'
import { manualClock } from '../foundation/manual-clock.ts'

test('each wait in vain halves the next one, down to the shortest', () => {
  const wait = new SearchWait({ clock: manualClock() })
  expect(wait.ms).toBe(SEARCH_WAIT_MS)
  wait.wasInVain()
  expect(wait.ms).toBe(SEARCH_WAIT_MS / 2)
  for (let i = 0; i < 10; i++) wait.wasInVain()
  expect(wait.ms).toBe(SEARCH_WAIT_MIN_MS)
})

test('what was found, or a while without waiting, makes up for all of them', async () => {
  const clock = manualClock()
  const wait = new SearchWait({ clock })
  for (let i = 0; i < 10; i++) wait.wasInVain()
  wait.hasFound()
  expect(wait.ms).toBe(SEARCH_WAIT_MS)
  for (let i = 0; i < 10; i++) wait.wasInVain()
  await clock.pass(VAIN_WAIT_MS - 1)
  expect(wait.ms).toBe(SEARCH_WAIT_MIN_MS)
  await clock.pass(1)
  expect(wait.ms).toBe(SEARCH_WAIT_MS)
  wait.wasInVain()
  expect(wait.ms).toBe(SEARCH_WAIT_MS / 2)
})
