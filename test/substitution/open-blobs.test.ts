import { expect, test } from 'vitest'
import type { BlobReader } from '../../src/castore/blob-store.ts'
import { TreeShape } from '../../src/castore/verified/tree-shape.ts'
import {
  OPEN_BLOB_MS,
  OPEN_BLOBS_MAX,
  OPEN_OUTBOARD_BYTES_MAX,
  OpenBlobs,
} from '../../src/substitution/open-blobs.ts'
import { call, collect } from '../fixtures/content.ts'
import { manualClock } from '../foundation/manual-clock.ts'

function blobOf(size: number, failure?: Error): BlobReader {
  return {
    size,
    async *read() {
      if (failure !== undefined) throw failure
      yield new Uint8Array(1)
    },
  }
}

test('those that were wanted last stay open, and not too many', () => {
  const open = new OpenBlobs({ clock: manualClock() })
  for (let i = 0; i < OPEN_BLOBS_MAX; i++) open.put(`blob ${i}`, blobOf(1))
  expect(open.get('blob 0')).toBeDefined()
  open.put('one more', blobOf(1))
  expect(open.get('blob 0')).toBeDefined()
  expect(open.get('blob 1')).toBeUndefined()
})

test('their outboards take up so much room, unless one alone needs more', () => {
  const open = new OpenBlobs({ clock: manualClock() })
  const half = 2 ** 32 // whose outboard is half of what is kept
  expect(2 * new TreeShape(half).outboardBytes).toBeLessThanOrEqual(OPEN_OUTBOARD_BYTES_MAX)
  for (const key of ['a', 'b', 'c']) open.put(key, blobOf(half))
  expect(['a', 'b', 'c'].map((key) => open.get(key) !== undefined)).toEqual([false, true, true])
  open.delete('b')
  open.put('d', blobOf(half))
  expect(open.get('c')).toBeDefined()
  open.put('giant', blobOf(4 * half))
  expect(open.get('giant')).toBeDefined()
  expect(open.get('c')).toBeUndefined()
})

test('one that nobody wants is closed after a while', async () => {
  const clock = manualClock()
  const open = new OpenBlobs({ clock })
  open.put('a', blobOf(1))
  await clock.pass(OPEN_BLOB_MS - 1)
  expect(open.get('a')).toBeDefined()
  await clock.pass(OPEN_BLOB_MS)
  expect(open.get('a')).toBeUndefined()
})

test('one that fails is forgotten, but not what has taken its place', async () => {
  const open = new OpenBlobs({ clock: manualClock() })
  const failing = open.put('a', blobOf(1, new Error('gone')))
  const fails = () => expect(collect(failing.read(0, call))).rejects.toThrow('gone')
  await fails()
  expect(open.get('a')).toBeUndefined()
  open.put('a', blobOf(1))
  await fails()
  expect(open.get('a')).toBeDefined()
})

test('that a reader left is no failure of the blob', async () => {
  const open = new OpenBlobs({ clock: manualClock() })
  const reader = open.put('a', blobOf(1, new Error('aborted')))
  const left = { signal: AbortSignal.abort(new Error('left')) }
  await expect(collect(reader.read(0, left))).rejects.toThrow()
  expect(open.get('a')).toBeDefined()
})
