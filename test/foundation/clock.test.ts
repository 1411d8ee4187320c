import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { expect, test } from 'vitest'
import { narrowedCall, unhurriedCall } from '../../src/foundation/call.ts'
import { DeadlineError, deadline } from '../../src/foundation/clock.ts'
import { systemClock } from '../../src/foundation/system-clock.ts'
import { call } from '../fixtures/content.ts'
import { manualClock, settled } from './manual-clock.ts'

test('a deadline aborts when its time is up, not before', async () => {
  const clock = manualClock()
  const { signal } = deadline(clock, 100, 'the answer')
  await clock.pass(99)
  expect(signal.aborted).toBe(false)
  await clock.pass(1)
  expect(signal.aborted).toBe(true)
  expect(signal.reason).toBeInstanceOf(DeadlineError)
  expect(signal.reason).toMatchObject({
    name: 'DeadlineError',
    message: 'the answer took longer than 100 ms',
  })
})

test('a cleared deadline never aborts and leaves no timer', async () => {
  const clock = manualClock()
  const { signal, clear } = deadline(clock, 100, 'the answer')
  expect(clock.sleepers).toBe(1)
  clear()
  await settled()
  expect(clock.sleepers).toBe(0)
  await clock.pass(1000)
  expect(signal.aborted).toBe(false)
})

test('clearing after the end is harmless', async () => {
  const clock = manualClock()
  const { signal, clear } = deadline(clock, 1, 'it')
  await clock.pass(1)
  clear()
  expect(signal.reason).toBeInstanceOf(DeadlineError)
})

test('the machine’s clock sleeps and wakes, or throws the signal’s reason', async () => {
  const before = systemClock.now()
  expect(before).toBeGreaterThan(1_600_000_000_000)
  await systemClock.sleep(20, unhurriedCall())
  expect(systemClock.now() - before).toBeGreaterThanOrEqual(19)
  const caller = new AbortController()
  const sleep = systemClock.sleep(60_000, caller)
  caller.abort(new Error('awake'))
  await expect(sleep).rejects.toThrow('awake')
  await expect(systemClock.sleep(60_000, caller)).rejects.toThrow('awake')
})

test('a narrowed call ends with either of its signals', () => {
  const [caller, other] = [new AbortController(), new AbortController()]
  const byCaller = narrowedCall(caller, new AbortController().signal)
  const byOther = narrowedCall(unhurriedCall(), other.signal)
  expect([byCaller.signal.aborted, byOther.signal.aborted]).toEqual([false, false])
  caller.abort(new Error('caller'))
  other.abort(new Error('other'))
  expect(byCaller.signal.reason.message).toBe('caller')
  expect(byOther.signal.reason.message).toBe('other')
})

test('what came while the process was busy is read before time is up', async () => {
  const order: string[] = []
  const server = createServer((socket) => socket.on('data', () => void order.push('answer')))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  await once(client, 'connect')
  const waiting = systemClock.sleep(10, call).then(() => order.push('time'))
  client.write('an answer')
  const busyUntil = performance.now() + 50
  while (performance.now() < busyUntil);
  await waiting
  expect(order).toEqual(['answer', 'time'])
  client.destroy()
  await once(server.close(), 'close')
})
