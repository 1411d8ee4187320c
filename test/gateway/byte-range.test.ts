import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseByteRange } from '../../src/gateway/byte-range.ts'
import { GatewayError } from '../../src/gateway/gateway-error.ts'

test.each([
  ['bytes=0-0', { offset: 0, length: 1 }],
  ['bytes=0-99', { offset: 0, length: 100 }],
  ['bytes=0-100', { offset: 0, length: 100 }],
  ['bytes=40-49', { offset: 40, length: 10 }],
  ['bytes=99-', { offset: 99, length: 1 }],
  ['bytes=-1', { offset: 99, length: 1 }],
  ['bytes=-1000', { offset: 0, length: 100 }],
  ['bytes= 1-2 ', { offset: 1, length: 2 }],
  ['bytes=5-99999999999999999999', { offset: 5, length: 95 }],
])('of 100 bytes, %s is %o', (header, range) => {
  expect(parseByteRange(header, 100)).toEqual(range)
})

test.each([
  undefined,
  '',
  'bytes=',
  'bytes=-',
  'bytes=2-1',
  'bytes=0-1,5-6',
  'lines=1-2',
  'bytes=a-b',
  'bytes=1.5-2',
  'bytes=--1',
])('%s is passed over', (header) => {
  expect(parseByteRange(header, 100)).toBeUndefined()
})

test.each(['bytes=100-', 'bytes=100-200', 'bytes=-0', 'bytes=99999999999999999999-'])(
  'of 100 bytes, %s can not be satisfied',
  (header) => {
    const parse = () => parseByteRange(header, 100)
    expect(parse).toThrow(GatewayError)
    expect(parse).toThrow(
      expect.objectContaining({ fault: { code: 'range-unsatisfiable', size: 100 } }),
    )
  },
)

test('of an empty body no range can be satisfied', () => {
  for (const header of ['bytes=0-', 'bytes=-1', 'bytes=0-0']) {
    expect(() => parseByteRange(header, 0)).toThrow(GatewayError)
  }
})

test('a range is always within the body, and not empty', () => {
  const part = fc.oneof(fc.constant(''), fc.nat(200).map(String))
  fc.assert(
    fc.property(part, part, fc.nat(150), (first, last, size) => {
      try {
        const range = parseByteRange(`bytes=${first}-${last}`, size)
        if (range === undefined) return
        expect(range.length).toBeGreaterThan(0)
        expect(range.offset).toBeGreaterThanOrEqual(0)
        expect(range.offset + range.length).toBeLessThanOrEqual(size)
      } catch (error) {
        expect(error).toBeInstanceOf(GatewayError)
      }
    }),
  )
})

test('whatever a client sends, it is no error of ours', () => {
  fc.assert(
    fc.property(fc.string(), fc.nat(), (header, size) => {
      try {
        parseByteRange(header, size)
        parseByteRange(`bytes=${header}`, size)
      } catch (error) {
        expect(error).toBeInstanceOf(GatewayError)
      }
    }),
  )
})
