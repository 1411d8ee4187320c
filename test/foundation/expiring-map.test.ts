import { expect, test } from 'vitest'
import { ExpiringMap } from '../../src/foundation/expiring-map.ts'
import { manualClock } from './manual-clock.ts'

test('an entry goes after a while, which begins anew when it is set', async () => {
  const clock = manualClock()
  const map = new ExpiringMap<number>({ clock }, { keptMs: 10, weightMax: 10 })
  map.set('a', 1)
  await clock.pass(9)
  expect(map.get('a')).toBe(1)
  map.set('a', 2)
  await clock.pass(9)
  expect(map.get('a')).toBe(2)
  await clock.pass(1)
  expect(map.get('a')).toBeUndefined()
})

test('where all weigh too much those that were set first go', () => {
  const init = { keptMs: 10, weightMax: 10, weigh: (it: number) => it }
  const map = new ExpiringMap<number>({ clock: manualClock() }, init)
  const has = () => ['a', 'b', 'c'].filter((it) => map.get(it) !== undefined)
  map.set('a', 4)
  map.set('b', 4)
  map.set('a', 5)
  expect(has()).toEqual(['a', 'b'])
  map.set('c', 2)
  expect(has()).toEqual(['a', 'c'])
  map.delete('a')
  map.set('b', 8)
  expect(has()).toEqual(['b', 'c'])
  map.set('c', 11)
  expect(has()).toEqual([])
  map.set('a', 10)
  map.clear()
  map.set('b', 10)
  expect(has()).toEqual(['b'])
})
