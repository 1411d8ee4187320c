import { expect, test } from 'vitest'
import type { PeerFault } from '../../../src/peers/peer-error.ts'
import { CONSEQUENCES, misdeedOf } from '../../../src/peers/standing/misdeed.ts'
import {
  FORGIVEN_AFTER_MS,
  IDLE_MS_MAX,
  PEERS_MAX,
  PeerLedger,
} from '../../../src/peers/standing/peer-ledger.ts'
import { manualClock } from '../../foundation/manual-clock.ts'

function world() {
  const clock = manualClock()
  return { clock, ledger: new PeerLedger({ clock }) }
}

test('everybody is welcome at first', () => {
  const { ledger } = world()
  expect(ledger.standing('a')).toBe('welcome')
  expect(ledger.reason('a')).toBeUndefined()
})

test('a liar is banned for good', async () => {
  const { clock, ledger } = world()
  ledger.report('a', 'lied', 'a wrong byte')
  ledger.report('a', 'failed', 'gone')
  ledger.commend('a')
  await clock.pass(100 * IDLE_MS_MAX)
  expect(ledger.standing('a')).toBe('banned')
  expect(ledger.reason('a')).toBe('a wrong byte')
  expect(ledger.standing('b')).toBe('welcome')
})

test.each([
  ['stalled', CONSEQUENCES.stalled.idleMs],
  ['failed', CONSEQUENCES.failed.idleMs],
] as const)('a peer that %s is left alone for a while, longer each time', async (misdeed, ms) => {
  const { clock, ledger } = world()
  for (const idleMs of [ms, 2 * ms, 4 * ms]) {
    ledger.report('a', misdeed, 'why')
    await clock.pass(idleMs - 1)
    expect(ledger.standing('a')).toBe('idle')
    expect(ledger.reason('a')).toBe('why')
    await clock.pass(1)
    expect(ledger.standing('a')).toBe('welcome')
    expect(ledger.reason('a')).toBeUndefined()
  }
})

test('no peer is left alone for ever', async () => {
  const { clock, ledger } = world()
  for (let i = 0; i < 100; i++) ledger.report('a', 'stalled', 'why')
  await clock.pass(IDLE_MS_MAX)
  expect(ledger.standing('a')).toBe('welcome')
})

test('who delivers is welcome again, but not forgiven at once', async () => {
  const { clock, ledger } = world()
  ledger.report('a', 'stalled', 'why')
  ledger.commend('a')
  expect(ledger.standing('a')).toBe('welcome')
  ledger.report('a', 'stalled', 'why')
  await clock.pass(2 * CONSEQUENCES.stalled.idleMs - 1)
  expect(ledger.standing('a')).toBe('idle')
  await clock.pass(1)
  expect(ledger.standing('a')).toBe('welcome')
})

test('who has delivered for long enough begins anew', async () => {
  const { clock, ledger } = world()
  ledger.report('a', 'stalled', 'why')
  ledger.report('a', 'stalled', 'why')
  await clock.pass(FORGIVEN_AFTER_MS)
  ledger.commend('a')
  ledger.report('a', 'stalled', 'why')
  await clock.pass(CONSEQUENCES.stalled.idleMs)
  expect(ledger.standing('a')).toBe('welcome')
})

test('of too many peers the harmless are forgotten before the liars, and these in the end', () => {
  const { ledger } = world()
  ledger.report('first liar', 'lied', '')
  ledger.report('harmless', 'stalled', '')
  for (let i = 0; i < PEERS_MAX - 2; i++) ledger.report(`liar ${i}`, 'lied', '')
  ledger.report('one more', 'lied', '')
  expect(ledger.standing('harmless')).toBe('welcome')
  expect(ledger.standing('first liar')).toBe('banned')
  ledger.report('yet one more', 'lied', '')
  expect(ledger.standing('first liar')).toBe('welcome')
  expect(ledger.standing('yet one more')).toBe('banned')
})

test.each<[PeerFault['code'], ReturnType<typeof misdeedOf>]>([
  ['content-corrupt', 'lied'],
  ['claim-false', 'lied'],
  ['protocol-broken', 'lied'],
  ['stalled', 'stalled'],
  ['refused', 'failed'],
  ['unreachable', 'failed'],
  ['absent', undefined],
  ['no-holder', undefined],
])('%s is held against a peer as: %s', (code, misdeed) => {
  const fault = { code, peer: 'a', digest: '', what: '', reason: '' } as PeerFault
  expect(misdeedOf(fault)).toBe(misdeed)
})
