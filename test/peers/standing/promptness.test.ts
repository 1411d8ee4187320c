import { expect, test } from 'vitest'
import {
  DISTRUST_MS,
  isPrompt,
  isProven,
  LAGGARDS_SUSPICIOUS,
  PROMPTNESS_PEERS_MAX,
  PROVEN_BYTES,
  Promptness,
} from '../../../src/peers/standing/promptness.ts'
import { manualClock } from '../../foundation/manual-clock.ts'

const unknown = { wastedMs: undefined, broughtBytes: 0 }
const quiet = { laggards: 0, nowMs: DISTRUST_MS }
const suspicious = { ...quiet, laggards: LAGGARDS_SUSPICIOUS }

test.each([
  ['who nobody knows is prompt', unknown, quiet, true],
  ['who wasted time a moment ago is not', { ...unknown, wastedMs: 1 }, quiet, false],
  ['whatever it has brought since', { wastedMs: 1, broughtBytes: 9 * PROVEN_BYTES }, quiet, false],
  ['who did long ago is', { ...unknown, wastedMs: 0 }, quiet, true],
  ['one laggard says nothing of others', unknown, { ...quiet, laggards: 1 }, true],
  ['several do of those who have brought nothing', unknown, suspicious, false],
  ['not of who has', { ...unknown, broughtBytes: PROVEN_BYTES }, suspicious, true],
])('%s', (_, record, neighbourhood, expected) => {
  expect(isPrompt(record, neighbourhood)).toBe(expected)
})

test.each([
  ['who nobody knows is not', unknown, false],
  ['who has brought much is', { ...unknown, broughtBytes: PROVEN_BYTES }, true],
  ['who has brought less is not', { ...unknown, broughtBytes: PROVEN_BYTES - 1 }, false],
  ['nor who wasted time since', { wastedMs: 1, broughtBytes: PROVEN_BYTES }, false],
  ['long ago does not count', { wastedMs: 0, broughtBytes: PROVEN_BYTES }, true],
])('proven: %s', (_, record, expected) => {
  expect(isProven(record, DISTRUST_MS)).toBe(expected)
})

function world() {
  const clock = manualClock()
  return { clock, promptness: new Promptness({ clock }) }
}

test('once several keep fetches waiting, newcomers come after the caches for a while', async () => {
  const { clock, promptness } = world()
  promptness.brought('proven', PROVEN_BYTES)
  for (let i = 0; i < LAGGARDS_SUSPICIOUS; i++) {
    expect(promptness.isPrompt('newcomer')).toBe(true)
    promptness.delayed(`laggard-${i}`)
    promptness.delayed(`laggard-${i}`) // the same one twice is one
  }
  expect(promptness.isPrompt('newcomer')).toBe(false)
  expect(promptness.isPrompt('proven')).toBe(true)
  await clock.pass(DISTRUST_MS)
  expect(promptness.isPrompt('newcomer')).toBe(true)
  expect(promptness.isPrompt('laggard-0')).toBe(true)
})

test('what somebody brought before it kept a fetch waiting does not count', () => {
  const { promptness } = world()
  promptness.brought('a', PROVEN_BYTES)
  promptness.delayed('a')
  expect(promptness.isPrompt('a')).toBe(false)
})

test('false offers say nothing of others', () => {
  const { promptness } = world()
  for (let i = 0; i < 9; i++) promptness.misled(`misleading-${i}`)
  expect(promptness.isPrompt('misleading-0')).toBe(false)
  expect(promptness.isPrompt('newcomer')).toBe(true)
})

test('who is forgotten is not held to anything', () => {
  const { promptness } = world()
  promptness.delayed('a')
  promptness.forget('a')
  expect(promptness.isPrompt('a')).toBe(true)
})

test('no more peers are remembered than there is room for', () => {
  const { promptness } = world()
  promptness.misled('first')
  for (let i = 0; i < PROMPTNESS_PEERS_MAX; i++) promptness.misled(`peer-${i}`)
  expect(promptness.isPrompt('first')).toBe(true)
  expect(promptness.isPrompt('peer-0')).toBe(false)
})
