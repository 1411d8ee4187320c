import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseByteRanges, RANGES_MAX } from '../../src/gateway/byte-range.ts'
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
  expect(parseByteRanges(header, 100)).toEqual([range])
})

test.each([
  ['bytes=0-0,-1', '0+1 99+1'],
  ['bytes=10-19, 0-4', '0+5 10+10'],
  ['bytes=0-9,5-14', '0+15'],
  ['bytes=0-9,10-14', '0+15'],
  ['bytes=0-,0-,0-', '0+100'],
  ['bytes=0-0,200-300', '0+1'],
  ['bytes=,0-1,', '0+2'],
])('of 100 bytes, %s is %s', (header, expected) => {
  const ranges = parseByteRanges(header, 100) ?? []
  expect(ranges.map(({ offset, length }) => `${offset}+${length}`).join(' ')).toBe(expected)
})

test('very many ranges at once are refused, however small', () => {
  const many = (count: number) =>
    `bytes=${Array.from({ length: count }, (_, i) => `${3 * i}-${3 * i}`).join(',')}`
  expect(parseByteRanges(many(RANGES_MAX), 10_000)).toHaveLength(RANGES_MAX)
  expect(() => parseByteRanges(many(RANGES_MAX + 1), 10_000)).toThrow(GatewayError)
  expect(() => parseByteRanges(`bytes=${'0-,'.repeat(1_000_000)}0-`, 100)).toThrow(GatewayError)
})

test.each([
  undefined,
  '',
  'bytes=',
  'bytes=-',
  'bytes=2-1',
  'bytes=0-1,x',
  'lines=1-2',
  'bytes=a-b',
  'bytes=1.5-2',
  'bytes=--1',
])('%s is passed over', (header) => {
  expect(parseByteRanges(header, 100)).toBeUndefined()
})

test.each(['bytes=100-', 'bytes=100-200', 'bytes=-0', 'bytes=99999999999999999999-'])(
  'of 100 bytes, %s can not be satisfied',
  (header) => {
    const parse = () => parseByteRanges(header, 100)
    expect(parse).toThrow(GatewayError)
    expect(parse).toThrow(
      expect.objectContaining({ fault: { code: 'range-unsatisfiable', size: 100 } }),
    )
  },
)

test('of an empty body no range can be satisfied', () => {
  for (const header of ['bytes=0-', 'bytes=-1', 'bytes=0-0']) {
    expect(() => parseByteRanges(header, 0)).toThrow(GatewayError)
  }
})

test('a range is always within the body, and not empty', () => {
  const part = fc.oneof(fc.constant(''), fc.nat(200).map(String))
  fc.assert(
    fc.property(part, part, fc.nat(150), (first, last, size) => {
      try {
        const [range] = parseByteRanges(`bytes=${first}-${last}`, size) ?? []
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
        parseByteRanges(header, size)
        parseByteRanges(`bytes=${header}`, size)
      } catch (error) {
        expect(error).toBeInstanceOf(GatewayError)
      }
    }),
  )
})
