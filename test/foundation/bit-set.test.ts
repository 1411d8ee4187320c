import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BitSet } from '../../src/foundation/bit-set.ts'

test('it behaves like a set of numbers, and is read back as it was written', () => {
  const act = fc.record({ number: fc.nat(70), isAdded: fc.boolean() })
  fc.assert(
    fc.property(fc.array(act), (acts) => {
      const set = new BitSet(71)
      const model = new Set<number>()
      for (const { number, isAdded } of acts) {
        expect(isAdded ? set.add(number) : set.delete(number)).toBe(model.has(number) !== isAdded)
        if (isAdded) model.add(number)
        else model.delete(number)
      }
      for (const it of [set, BitSet.of(71, set.toBytes())!]) {
        expect([...it]).toEqual([...model].sort((a, b) => a - b))
        expect(it.count).toBe(model.size)
      }
    }),
  )
})

test('bytes that are too many or too few, or have bits beyond the size, make none', () => {
  expect(BitSet.of(9, new Uint8Array(1))).toBeUndefined()
  expect(BitSet.of(9, new Uint8Array(3))).toBeUndefined()
  expect(BitSet.of(9, Uint8Array.of(0xff, 0b10))).toBeUndefined()
  expect(BitSet.of(9, Uint8Array.of(0xff, 0b1))?.isFull).toBe(true)
  expect(BitSet.of(8, Uint8Array.of(0xff))?.isFull).toBe(true)
  expect(BitSet.of(0, new Uint8Array(0))?.isFull).toBe(true)
})

test('a number that is not below the size can not be in it', () => {
  const set = new BitSet(8)
  expect(() => set.add(8)).toThrow(RangeError)
  expect(() => set.add(-1)).toThrow(RangeError)
  expect(set.has(8)).toBe(false)
})
