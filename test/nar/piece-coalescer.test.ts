import { expect, test } from 'vitest'
import { PieceCoalescer } from '../../src/nar/piece-coalescer.ts'
import { noise } from '../fixtures/content.ts'

test('small parts become few pieces, large ones are passed on as they are', () => {
  const parts = [...Array(3000).keys()].map((i) => noise((i * 37) % 900, i))
  const large = noise(100_000, 'large')
  parts.splice(1500, 0, large)
  const coalescer = new PieceCoalescer()
  const pieces: Uint8Array[] = []
  for (const part of parts) coalescer.push(part, pieces)
  coalescer.finish(pieces)
  expect(Buffer.concat(pieces).equals(Buffer.concat(parts))).toBe(true)
  expect(pieces).toContain(large)
  expect(pieces.length).toBeLessThan(10)
})

test('a piece stays as it is when more parts come', () => {
  const coalescer = new PieceCoalescer()
  const pieces: Uint8Array[] = []
  coalescer.push(noise(1000, 1), pieces)
  coalescer.finish(pieces)
  const first = Buffer.from(pieces[0]!)
  for (let i = 0; i < 1000; i++) coalescer.push(noise(1000, i), pieces)
  expect(first.equals(pieces[0]!)).toBe(true)
  expect(first.equals(noise(1000, 1))).toBe(true)
})
