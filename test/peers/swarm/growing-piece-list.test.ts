import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ChunkRef } from '../../../src/castore/blob-store.ts'
import { Digest } from '../../../src/foundation/digest.ts'
import { GrowingPieceList } from '../../../src/peers/swarm/growing-piece-list.ts'
import { PIECE_BYTES, PieceList } from '../../../src/peers/swarm/piece-list.ts'
import { noise } from '../../fixtures/content.ts'

const id = Digest.of(noise(32, 'list'))
const anyChunks = fc.array(
  fc.record({
    digest: fc.nat(60).map((i) => Digest.of(noise(32, i))),
    size: fc.integer({ min: 96, max: 2 * PIECE_BYTES }),
  }),
)

function piecesOf(list: Pick<PieceList, 'chunksOf' | 'chunks'>, count: number): string[] {
  return Array.from({ length: count }, (_, piece) => {
    const [begin, end] = list.chunksOf(piece)
    return list.chunks
      .slice(begin, end)
      .map(({ digest, size }) => `${digest.hex} ${size}`)
      .join()
  })
}

const bytesOf = (chunks: readonly ChunkRef[]): number =>
  chunks.reduce((sum, { size }) => sum + size, 0)

test('a list that has grown is cut as one that was whole, however it was told', () => {
  fc.assert(
    fc.property(anyChunks, (chunks) => {
      const bytes = bytesOf(chunks) + 1
      const list = new GrowingPieceList({ id, bytes })
      for (const chunk of chunks) list.add(chunk)
      list.end()
      const whole = PieceList.of([chunks])
      expect(list.closed).toBe(whole.size)
      expect(list.size).toBeGreaterThanOrEqual(whole.size)
      expect(piecesOf(list, list.closed)).toEqual(piecesOf(whole, whole.size))
      const numbers = list.chunks.map((_, chunk) => list.pieceOf(chunk))
      expect(numbers).toEqual(whole.chunks.map((_, chunk) => whole.pieceOf(chunk)))
    }),
  )
})

test('a piece does not change any more once it is there', () => {
  fc.assert(
    fc.property(anyChunks, (chunks) => {
      const list = new GrowingPieceList({ id, bytes: bytesOf(chunks) + 1 })
      let before: string[] = []
      for (const chunk of chunks) {
        list.add(chunk)
        const now = piecesOf(list, list.closed)
        expect(now.slice(0, before.length)).toEqual(before)
        before = now
      }
    }),
  )
})

test('a list has no more pieces than it can have, whatever is told', () => {
  const list = new GrowingPieceList({ id, bytes: 1_000 })
  for (let i = 0; i < 100; i++) list.add({ digest: Digest.of(noise(32, i)), size: PIECE_BYTES })
  list.end()
  expect(list.closed).toBe(list.size)
  expect(list.size).toBeLessThan(5)
  list.add({ digest: Digest.of(noise(32, 'late')), size: 1 })
  expect(list.chunks).toHaveLength(list.size)
})
