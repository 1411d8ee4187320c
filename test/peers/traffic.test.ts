import { expect, test } from 'vitest'
import { AVERAGED_MS } from '../../src/foundation/rate-meter.ts'
import { COUNTED_PEERS_MAX, Traffic } from '../../src/peers/traffic.ts'
import { manualClock } from '../foundation/manual-clock.ts'

test('what goes at an even rate is measured at that, and fades when it ends', async () => {
  const clock = manualClock()
  const traffic = new Traffic({ clock })
  for (let i = 0; i < 500; i++) {
    traffic.count('a', 1000, 'in')
    await clock.pass(100)
  }
  expect(traffic.of('a')).toMatchObject({ received: 500_000, sent: 0, sendRate: 0 })
  expect(traffic.of('a').receiveRate / 10_000).toBeCloseTo(1, 1)
  await clock.pass(10 * AVERAGED_MS)
  expect(traffic.of('a').receiveRate).toBeLessThan(1)
})

test('the sum of all is right, however many come and go', () => {
  const traffic = new Traffic({ clock: manualClock() })
  for (let i = 0; i < COUNTED_PEERS_MAX + 100; i++) traffic.count(`${i}`, 1, 'out')
  expect(traffic.total()).toEqual({ received: 0, sent: COUNTED_PEERS_MAX + 100 })
  expect(traffic.of('0').sent).toBe(0)
  expect(traffic.of('200').sent).toBe(1)
})
