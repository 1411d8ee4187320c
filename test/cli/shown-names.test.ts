import fc from 'fast-check'
import { expect, test } from 'vitest'
import { shownName, writtenName } from '../../src/cli/shown-names.ts'

test.each([
  ['plain', 'plain'],
  ['über 𝄞', 'über 𝄞'],
  ['back\\slash', 'back\\slash'],
  ['back\\x41', 'back\\x5cx41'],
  ['line\nfeed\\', 'line\\x0afeed\\x5c'],
  ['\u001b[31m', '\\x1b[31m'],
])('%j is shown as %s', (name, shown) => {
  expect(shownName(Buffer.from(name))).toBe(shown)
})

test('bytes that are no UTF-8 are spelt out', () => {
  expect(shownName(Buffer.from([0x61, 0xe9, 0x5c, 0xff]))).toBe('a\\xe9\\x5c\\xff')
})

test('what is shown can be written again', () => {
  const anyName = fc.oneof(
    fc.uint8Array({ maxLength: 30 }),
    fc
      .string({ unit: fc.constantFrom('\\', 'x', '4', '1', 'é', '\n') })
      .map((it) => Buffer.from(it)),
  )
  fc.assert(
    fc.property(anyName, (name) => {
      expect(Buffer.from(writtenName(shownName(name)))).toEqual(Buffer.from(name))
    }),
  )
})
