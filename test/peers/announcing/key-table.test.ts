import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { KeyTable, PLACES } from '../../../src/peers/announcing/key-table.ts'
import { inSpaceOrder } from '../../../src/peers/routing/kademlia-id.ts'

const keyOf = (n: number): Uint8Array => createHash('sha256').update(`key ${n}`).digest()
const hexOf = (key: Uint8Array): string => Buffer.from(key).toString('hex')

test('it gives what it was given, once, in the order of the key space', () => {
  const cuts = fc.array(fc.integer({ min: 0, max: PLACES }), { maxLength: 5 })
  fc.assert(
    fc.property(fc.array(fc.nat(3_000), { maxLength: 4_000 }), cuts, (numbers, places) => {
      const table = new KeyTable()
      const known = new Set<number>()
      for (const n of numbers) {
        expect(table.add(keyOf(n))).toBe(!known.has(n))
        known.add(n)
      }
      table.sort()
      const bounds = [0, ...places.toSorted((a, b) => a - b), PLACES]
      const given = bounds.slice(1).flatMap((to, i) => table.between(bounds[i]!, to))
      expect(given.map(hexOf)).toEqual(inSpaceOrder([...known].map(keyOf)).map(hexOf))
      for (const n of known) expect(table.has(keyOf(n))).toBe(true)
      expect(table.has(keyOf(-1))).toBe(false)
    }),
    { numRuns: 20 },
  )
})

test('it takes so many keys and no more', () => {
  const table = new KeyTable({ keysMax: 3 })
  for (let i = 0; i < 3; i++) expect(table.add(keyOf(i))).toBe(true)
  expect(table.isFull).toBe(true)
  expect(() => table.add(keyOf(3))).toThrow(RangeError)
  expect(table.sort().size).toBe(3)
  expect(() => table.add(keyOf(4))).toThrow(RangeError)
})
