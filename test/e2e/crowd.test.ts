import { expect, test } from 'vitest'
import { crowd } from '../fixtures/crowd/crowd.ts'

/** `npm run bench -- crowd` takes ten times as much. */
const BYTES = 20 * 1000 * 1000

const CLIENTS = 50

test('fifty clients who want the same at once cost its cache one download', {
  timeout: 60_000,
}, async () => {
  const { faults, downloads } = await crowd({ bytes: BYTES, clients: CLIENTS })
  expect(faults).toEqual([])
  expect(downloads).toBe(1)
})
