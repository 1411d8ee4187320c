import { expect, test } from 'vitest'
import { CacheError } from '../../src/upstream/cache-error.ts'
import {
  type BreakableBody,
  RESUME_MS,
  RESUMPTIONS_MAX,
  resumedBody,
} from '../../src/upstream/resumed-body.ts'
import { faultOf } from '../contracts/cache-files-contract.ts'
import { until } from '../fixtures/await-peers.ts'
import { allBytes, call } from '../fixtures/content.ts'
import { manualClock } from '../foundation/manual-clock.ts'

const TEXT = 'the whole text'

/** Some bytes of the text, and then nothing, or an error. */
async function* part(from: number, length: number, error?: Error): AsyncGenerator<Uint8Array> {
  if (length > 0) yield Buffer.from(TEXT.slice(from, from + length))
  if (error !== undefined) throw error
}

function read(body: BreakableBody, clock = manualClock()): Promise<Buffer> {
  return allBytes(resumedBody(body, { clock, cache: 'cache' }, call))
}

test('an end that comes too early is none', async () => {
  const body = { bytes: part(0, 5), offset: 0, size: TEXT.length }
  expect(await faultOf(read(body))).toBe('cut-off')
  const unsized = { bytes: part(0, 5), offset: 0, size: undefined }
  expect(String(await read(unsized))).toBe(TEXT.slice(0, 5))
  const long = { bytes: part(0, 5), offset: 0, size: 4 }
  expect(await faultOf(read(long))).toBe('cut-off')
})

test('it is continued where it broke off, after longer and longer waits', async () => {
  const clock = manualClock()
  const offsets: number[] = []
  const reading = read(
    {
      bytes: part(4, 2, new Error('cut')),
      offset: 4,
      size: TEXT.length,
      reopen: async (from) => {
        offsets.push(from)
        return part(from, 4)
      },
    },
    clock,
  )
  for (let i = 0; i < 2; i++) {
    await until(() => clock.sleepers > 0)
    expect(offsets).toHaveLength(i)
    await clock.pass(RESUME_MS * 2 ** i)
  }
  expect(String(await reading)).toBe(TEXT.slice(4))
  expect(offsets).toEqual([6, 10])
})

test('it is continued a few times only, and not by an error of ours', async () => {
  const clock = manualClock()
  let reopened = 0
  const one = async (from: number): Promise<AsyncIterable<Uint8Array>> => {
    reopened++
    return part(from, 1)
  }
  const outcome = faultOf(
    read({ bytes: part(0, 1), offset: 0, size: TEXT.length, reopen: one }, clock),
  )
  for (let i = 0; i < RESUMPTIONS_MAX; i++) {
    await until(() => clock.sleepers > 0)
    await clock.pass(RESUME_MS * 2 ** i)
  }
  expect(await outcome).toBe('cut-off')
  expect(reopened).toBe(RESUMPTIONS_MAX)
  const refused = read(
    {
      bytes: part(0, 1),
      offset: 0,
      size: TEXT.length,
      reopen: () => Promise.reject(new TypeError('a bug')),
    },
    clock,
  )
  const caught = refused.catch((error) => error)
  await until(() => clock.sleepers > 0)
  await clock.pass(RESUME_MS)
  expect(await caught).toBeInstanceOf(TypeError)
  expect(await caught).not.toBeInstanceOf(CacheError)
})
