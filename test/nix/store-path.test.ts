import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compareStorePaths, parseStorePathHash, StorePath } from '../../src/nix/store-path.ts'
import { expectNixError } from './expect-nix-error.ts'

const HASH = '0a3yijp35sygmy51cnrrz11vimwapz7c'
const FULL = `/nix/store/${HASH}-dbus-conf`

test('a store path is read and written', () => {
  const path = StorePath.parse(FULL)
  expect(path.hashText).toBe(HASH)
  expect(path.name).toBe('dbus-conf')
  expect(path.baseName).toBe(`${HASH}-dbus-conf`)
  expect(`${path}`).toBe(FULL)
  expect(JSON.stringify({ path })).toBe(`{"path":"${FULL}"}`)
  expect(path.hash).toEqual(parseStorePathHash(HASH))
  expect(StorePath.of(path.hash, path.name).equals(path)).toBe(true)
  expect(StorePath.parseBaseName(`${HASH}-dbus-conf`).equals(path)).toBe(true)
  expect(StorePath.parseBaseName(`${HASH}-dbus`).equals(path)).toBe(false)
  expect(StorePath.parseBaseName(`1${HASH.slice(1)}-dbus-conf`).equals(path)).toBe(false)
})

test('any valid hash and name come back', () => {
  const letter = fc.constantFrom(...'azAZ09+-._?=')
  const name = fc.string({ unit: letter, minLength: 1, maxLength: 211 })
  const hash = fc.uint8Array({ minLength: 20, maxLength: 20 })
  fc.assert(
    fc.property(hash, name, (bytes, text) => {
      const path = StorePath.parse(StorePath.of(bytes, text).toString())
      expect(path.hash).toEqual(bytes)
      expect(path.name).toBe(text)
    }),
  )
})

test.each(['.', '..', '.a', '.-x', '...', '-a', '?', 'x.drv', 'a'.repeat(211)])(
  'the name %s is one, as in Nix 2.8',
  (name) => {
    expect(StorePath.parseBaseName(`${HASH}-${name}`).name).toBe(name)
  },
)

test.each([
  ['another store', `/gnu/store/${HASH}-x`],
  ['a relative path', `nix/store/${HASH}-x`],
  ['the store itself', '/nix/store'],
  ['nothing in the store', '/nix/store/'],
  ['no name', `/nix/store/${HASH}`],
  ['an empty name', `/nix/store/${HASH}-`],
  ['a file below', `${FULL}/etc`],
  ['a slash at the end', `${FULL}/`],
  ['two slashes', `/nix/store//${HASH}-x`],
  ['going up', '/nix/store/../../etc/passwd-aaaaaaaaaaaaaaaaaaaa'],
  ['a short hash', `/nix/store/${HASH.slice(1)}-x`],
  ['a long hash', `/nix/store/0${HASH}-x`],
  ['a hash with a foreign letter', `/nix/store/e${HASH.slice(1)}-x`],
  ['a hash in upper case', `/nix/store/${HASH.toUpperCase()}-x`],
  ['a space', `${FULL} x`],
  ['a line break', `${FULL}\n`],
  ['a NUL', `${FULL}\0`],
  ['a letter beyond ASCII', `${FULL}é`],
  ['a long name', `/nix/store/${HASH}-${'a'.repeat(212)}`],
])('refused: %s', (_, text) => {
  expectNixError('bad-store-path', () => StorePath.parse(text))
})

test('a hash of another length is refused', () => {
  expectNixError('bad-store-path', () => StorePath.of(new Uint8Array(32), 'x'))
  expectNixError('bad-store-path', () => parseStorePathHash('abc'))
})

test('a path given for a base name is refused', () => {
  expectNixError('bad-store-path', () => StorePath.parseBaseName(FULL))
})

test('paths are ordered by their base names', () => {
  const paths = [`1${HASH.slice(1)}-a`, `${HASH}-b`, `${HASH}-a`].map(StorePath.parseBaseName)
  const names = paths.sort(compareStorePaths).map((it) => it.baseName)
  expect(names).toEqual([`${HASH}-a`, `${HASH}-b`, `1${HASH.slice(1)}-a`])
  expect(compareStorePaths(paths[0]!, paths[0]!)).toBe(0)
})
