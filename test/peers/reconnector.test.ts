import { expect, test } from 'vitest'
import { silentLog } from '../../src/foundation/log.ts'
import { type DialTarget, Reconnector, WANTED_MS } from '../../src/peers/reconnector.ts'
import { manualClock, settled } from '../foundation/manual-clock.ts'

const LOOK_MS = 1_000

function world(addresses: readonly string[] = []) {
  const clock = manualClock()
  const dials: string[] = []
  const up = new Set<string>()
  const linked = new Set<string>()
  const dial = async (target: DialTarget): Promise<string> => {
    const to = 'peer' in target ? target.peer : target.address
    dials.push(to)
    const peer = to.replace('address of ', '')
    if (!up.has(peer)) throw new Error('no answer')
    linked.add(peer)
    return peer
  }
  const isConnected = (peer: string): boolean => linked.has(peer)
  const components = { clock, log: silentLog, isConnected, dial }
  const reconnector = new Reconnector(components, { addresses })
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= LOOK_MS) {
      await clock.pass(Math.min(left, LOOK_MS))
      await settled()
    }
  }
  return { clock, dials, up, linked, reconnector, pass }
}

test('the addresses of the user are dialled at once, and not again while connected', async () => {
  const { dials, up, reconnector, pass } = world(['address of a', 'address of b'])
  up.add('a').add('b')
  await reconnector.start()
  await settled()
  await pass(60_000)
  expect(dials).toEqual(['address of a', 'address of b'])
  await reconnector.stop()
})

test('a lost connection is made again', async () => {
  const { dials, up, linked, reconnector, pass } = world(['address of a'])
  up.add('a')
  await reconnector.start()
  await pass(5_000)
  linked.delete('a')
  await pass(5_000)
  expect(dials.length).toBe(2)
  expect(linked.has('a')).toBe(true)
  await reconnector.stop()
})

test('who cuts the connection again and again is dialled ever more seldom, until it lasts', async () => {
  const { dials, up, linked, reconnector, pass } = world(['address of a'])
  up.add('a')
  await reconnector.start()
  await settled()
  for (let s = 0; s < 120; s++) {
    linked.delete('a')
    await pass(1_000)
  }
  expect(dials.length).toBeGreaterThan(5)
  expect(dials.length).toBeLessThan(10)
  linked.delete('a')
  await pass(61_000)
  expect(linked.has('a')).toBe(true)
  await pass(WANTED_MS)
  linked.delete('a')
  await pass(1_000)
  expect(linked.has('a')).toBe(true)
  await reconnector.stop()
})

test('an address of the user is tried for ever, at growing intervals', async () => {
  const { dials, up, linked, reconnector, pass } = world(['address of a'])
  await reconnector.start()
  await settled()
  await pass(15_000)
  expect(dials.length).toBe(5) // after 0, 1, 3, 7 and 15 s
  await pass(3_600_000)
  expect(dials.length).toBeGreaterThan(55)
  expect(dials.length).toBeLessThan(70)
  up.add('a')
  await pass(61_000)
  expect(linked.has('a')).toBe(true)
  await reconnector.stop()
})

test('a discovered peer is dialled, and forgotten when it never answers', async () => {
  const { dials, reconnector, pass } = world()
  await reconnector.start()
  reconnector.meet('a')
  await settled()
  expect(dials).toEqual(['a'])
  await pass(24 * 60_000)
  expect(dials.length).toBe(8)
  reconnector.meet('a')
  await settled()
  expect(dials.length).toBe(9)
  await reconnector.stop()
})

test('meeting a peer anew does not dial it while it is connected or being dialled', async () => {
  const { dials, up, reconnector, pass } = world()
  up.add('a')
  await reconnector.start()
  for (let i = 0; i < 3; i++) reconnector.meet('a')
  await pass(5_000)
  reconnector.meet('a')
  await pass(5_000)
  expect(dials).toEqual(['a'])
  await reconnector.stop()
})

test('after stopping nobody is dialled', async () => {
  const { dials, reconnector, pass } = world(['address of a'])
  await reconnector.start()
  await settled()
  await reconnector.stop()
  reconnector.meet('b')
  await pass(10_000)
  expect(dials).toEqual(['address of a'])
})
