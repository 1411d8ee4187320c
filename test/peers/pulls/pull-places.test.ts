import { expect, test } from 'vitest'
import {
  PLACE_BYTES,
  PLACE_WAIT_MS,
  PullPlaces,
  SHARED_MS,
} from '../../../src/peers/pulls/pull-places.ts'
import { manualClock } from '../../foundation/manual-clock.ts'

function world() {
  const clock = manualClock()
  return { clock, places: new PullPlaces({ clock }) }
}

test('who is alone has as many places as it wants', () => {
  const { places } = world()
  for (let i = 0; i < 10; i++) places.take(PLACE_BYTES)
  expect(places.waitMs(0)).toBe(0)
})

test('where others are at it, the next waits until what is pulled is less again', async () => {
  const { places } = world()
  places.shared()
  using half = places.take(PLACE_BYTES - 1)
  expect(places.waitMs(0)).toBe(0)
  const rest = places.take(1)
  expect(places.waitMs(0)).toBe(PLACE_WAIT_MS)
  const { freed } = places
  rest[Symbol.dispose]()
  rest[Symbol.dispose]() // twice is once
  await freed
  expect(places.waitMs(0)).toBe(0)
  places.take(1)
  expect(places.waitMs(0)).toBe(PLACE_WAIT_MS)
  half[Symbol.dispose]()
  expect(places.waitMs(0)).toBe(0)
})

test('nobody waits for ever: what is pulled may be stuck', async () => {
  const { clock, places } = world()
  places.take(PLACE_BYTES)
  await clock.pass(1_000)
  places.shared()
  expect(places.waitMs(1_000)).toBe(PLACE_WAIT_MS)
  await clock.pass(PLACE_WAIT_MS - 1)
  expect(places.waitMs(1_000)).toBe(1)
  await clock.pass(1)
  expect(places.waitMs(1_000)).toBe(0)
})

test('others count for a while after they were last at it', async () => {
  const { clock, places } = world()
  places.take(PLACE_BYTES)
  places.shared()
  await clock.pass(SHARED_MS - 1)
  expect(places.waitMs(clock.now())).toBe(PLACE_WAIT_MS)
  await clock.pass(1)
  expect(places.waitMs(clock.now())).toBe(0)
})
