import { expect, test } from 'vitest'
import { BlobChunk } from '../../src/generated/tvix/castore/v1/rpc_blobstore.ts'
import { BLOB_CHUNK_CODEC } from '../../src/rpc/blob-chunk-codec.ts'
import { encoded } from '../../src/rpc/wire-codec.ts'
import { noise } from '../fixtures/content.ts'

const { decode } = BLOB_CHUNK_CODEC

test.each([0, 1, 127, 128, 16_383, 16_384, 300_000, 2_097_151, 2_097_152])(
  'a chunk of %d bytes is as the generated code has it',
  (size) => {
    const data = noise(size)
    const bytes = encoded(BLOB_CHUNK_CODEC, data)
    expect(bytes.equals(BlobChunk.encode({ data }).finish())).toBe(true)
    expect(Buffer.compare(decode(bytes), data)).toBe(0)
  },
)

test('what others write in other ways is read, too', () => {
  const hex = (text: string): Buffer => Buffer.from(decode(Buffer.from(text, 'hex')))
  expect(hex('0a820001ff').toString('hex')).toBe('01ff') // a length longer than it needs to be
  expect(hex('0a01aa0a02bbcc').toString('hex')).toBe('bbcc') // the last one counts
  expect(hex('10010a01aa').toString('hex')).toBe('aa') // an unknown field before it
  expect(hex('0a01aa1001').toString('hex')).toBe('aa') // and after it
})

test.each(['0a', '0a05aa', '0aff', '0affffffffff', '08'])('%s is no chunk', (text) => {
  expect(() => decode(Buffer.from(text, 'hex'))).toThrow()
})
