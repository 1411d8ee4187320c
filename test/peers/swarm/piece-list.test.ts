import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ChunkRef } from '../../../src/castore/blob-store.ts'
import { Digest } from '../../../src/foundation/digest.ts'
import {
  PIECE_BYTES,
  PIECE_CHUNKS_MAX,
  PIECES_MAX,
  PieceList,
} from '../../../src/peers/swarm/piece-list.ts'
import { noise } from '../../fixtures/content.ts'

const chunk = (name: number, size: number): ChunkRef => ({
  digest: Digest.of(noise(32, name)),
  size,
})
const anyLayouts = fc.array(
  fc.array(fc.record({ name: fc.nat(40), size: fc.integer({ min: 1, max: 512 * 1024 }) })),
)

test('each chunk is in one piece, in the order of its first place', () => {
  fc.assert(
    fc.property(anyLayouts, (layouts) => {
      const sizes = new Map(layouts.flat().map(({ name, size }) => [name, size]))
      const list = PieceList.of(
        layouts.map((it) => it.map(({ name }) => chunk(name, sizes.get(name)!))),
      )
      const names = [...new Set(layouts.flat().map(({ name }) => name))]
      expect(list.chunks).toEqual(names.map((name) => chunk(name, sizes.get(name)!)))
      let next = 0
      for (let piece = 0; piece < list.size; piece++) {
        const [begin, end] = list.chunksOf(piece)
        expect(begin).toBe(next)
        expect(end).toBeGreaterThan(begin)
        const bytes = list.chunks.slice(begin, end).reduce((sum, { size }) => sum + size, 0)
        expect(end - begin === 1 || bytes <= PIECE_BYTES).toBe(true)
        for (let i = begin; i < end; i++) expect(list.pieceOf(i)).toBe(piece)
        next = end
      }
      expect(next).toBe(list.chunks.length)
    }),
  )
})

test('small chunks are gathered, but not without end', () => {
  const small = Array.from({ length: 3 * PIECE_CHUNKS_MAX }, (_, i) => chunk(i, 1))
  expect(PieceList.of([small]).size).toBe(3)
})

test('what has very many chunks is cut into longer pieces', () => {
  const many = Array.from({ length: 4 * PIECES_MAX }, (_, i) => {
    const name = new Uint8Array(32)
    new DataView(name.buffer).setUint32(0, i)
    return { digest: Digest.of(name), size: PIECE_BYTES }
  })
  expect(PieceList.of([many]).size).toBe(PIECES_MAX)
})

test('other chunks, or others in another order, are another list', () => {
  const a = chunk(1, 300_000)
  const b = chunk(2, 300_000)
  const { id } = PieceList.of([[a], [b]])
  expect(PieceList.of([[a, b]]).id.hex).toBe(id.hex)
  expect(PieceList.of([[b, a]]).id.hex).not.toBe(id.hex)
  expect(PieceList.of([[a]]).id.hex).not.toBe(id.hex)
})
