import fc from 'fast-check'
import { expect, test } from 'vitest'
import { NamePattern, PATTERN_LENGTH_MAX } from '../../src/pathinfo/name-pattern.ts'

const matches = (pattern: string, name: string): boolean =>
  NamePattern.parse(pattern)!.matches(name)

test.each([
  ['hello', 'hello', true],
  ['hello', 'hello-2.12', false],
  ['hello-*', 'hello-2.12', true],
  ['hello-*', 'hello-', true],
  ['hello-*', 'othello-2', false],
  ['*-secret*', 'my-secret-1', true],
  ['*-secret*', 'secret', false],
  ['a.c', 'abc', false],
  ['a?c', 'abc', true],
  ['a?c', 'ac', false],
  ['?', '?', true],
  ['*', 'anything', true],
  ['**a**b**', 'xaxbx', true],
  ['*ab', 'aab', true],
  ['*aab*b', 'aaab', false],
  ['a+b*', 'a+bc', true],
])('%s matches %s: %s', (pattern, name, expected) => {
  expect(matches(pattern, name)).toBe(expected)
})

test.each(['', 'a/b', '/nix/store/x', 'a b', '[ab]', 'ä', 'a'.repeat(PATTERN_LENGTH_MAX + 1)])(
  '%j matches no name that can be',
  (text) => {
    expect(NamePattern.parse(text)).toBeUndefined()
  },
)

test('it matches as the regular expression would', () => {
  const letters = (alphabet: string, maxLength: number): fc.Arbitrary<string> =>
    fc.array(fc.constantFrom(...alphabet), { minLength: 1, maxLength }).map((it) => it.join(''))
  fc.assert(
    fc.property(letters('ab*?', 8), letters('ab', 12), (pattern, name) => {
      const source = pattern.replaceAll('*', '.*').replaceAll('?', '.')
      expect(matches(pattern, name)).toBe(new RegExp(`^${source}$`).test(name))
    }),
    { numRuns: 2_000 },
  )
})

test('no pattern takes long', () => {
  const pattern = NamePattern.parse(`${'*a'.repeat(127)}*b`)!
  const name = 'a'.repeat(211)
  const beganMs = performance.now()
  for (let i = 0; i < 100; i++) expect(pattern.matches(name)).toBe(false)
  expect(performance.now() - beganMs).toBeLessThan(2_000)
})
