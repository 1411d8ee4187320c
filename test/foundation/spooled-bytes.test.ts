import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SpoolDirectory, type SpoolStore } from '../../src/foundation/spool.ts'
import { SpooledBytes } from '../../src/foundation/spooled-bytes.ts'
import { noise } from '../fixtures/content.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'

const MEBIBYTE = 1024 * 1024
const BYTES = noise(9 * MEBIBYTE)

async function readFrom(spooled: SpooledBytes, offset: number, length: number): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  let left = length
  while (left > 0) {
    const piece = await spooled.read(offset + length - left, left)
    if (piece.length === 0) break
    pieces.push(piece)
    left -= piece.length
  }
  return Buffer.concat(pieces)
}

test('what came is read at any place while more comes', async () => {
  await using directory = await temporaryDirectory()
  const spools = await SpoolDirectory.open(directory.path)
  const piece = fc.integer({ min: 0, max: 2 * MEBIBYTE })
  const part = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), length: piece })
  const steps = fc.array(fc.record({ piece, part }), { maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      await using spooled = new SpooledBytes({ spools }, { sizeMax: BYTES.length })
      for (const { piece, part } of all) {
        await spooled.push(BYTES.subarray(spooled.size, spooled.size + piece))
        const offset = Math.floor(part.at * spooled.size)
        const expected = BYTES.subarray(offset, Math.min(offset + part.length, spooled.size))
        const read = await readFrom(spooled, offset, part.length)
        expect(Buffer.compare(read, expected)).toBe(0)
      }
    }),
    { numRuns: 40 },
  )
})

test('no more is taken than was said', async () => {
  await using directory = await temporaryDirectory()
  const spools = await SpoolDirectory.open(directory.path)
  await using spooled = new SpooledBytes({ spools }, { sizeMax: 10 })
  await spooled.push(BYTES.subarray(0, 10))
  await expect(spooled.push(BYTES.subarray(0, 1))).rejects.toThrow(RangeError)
  expect(spooled.size).toBe(10)
})

test('what is short is never written', async () => {
  const none: SpoolStore = { open: () => Promise.reject(new Error('not needed')) }
  await using spooled = new SpooledBytes({ spools: none }, { sizeMax: MEBIBYTE })
  await spooled.push(BYTES.subarray(0, MEBIBYTE))
  expect((await readFrom(spooled, 0, MEBIBYTE)).equals(BYTES.subarray(0, MEBIBYTE))).toBe(true)
})

test('a spool that fails is told of, and what came before can be read', async () => {
  const broken: SpoolStore = { open: () => Promise.reject(new Error('no space left')) }
  await using spooled = new SpooledBytes({ spools: broken }, { sizeMax: BYTES.length })
  await expect(spooled.push(BYTES)).rejects.toThrow('no space left')
  await expect(spooled.push(BYTES)).rejects.toThrow('no space left')
  const came = await readFrom(spooled, 0, spooled.size)
  expect(came.equals(BYTES.subarray(0, spooled.size))).toBe(true)
  expect(spooled.size).toBeLessThan(3 * MEBIBYTE)
})
