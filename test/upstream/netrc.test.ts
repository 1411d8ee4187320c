import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { NETRC_LENGTH_MAX, Netrc, NetrcError } from '../../src/upstream/netrc.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'

const FILE = `
# a comment, with machine words that mean nothing
machine cache.example.org login nix password secret
machine QUOTED.example.org
  login "a user"
  password "with \\"quotes\\", \\\\ and # signs"
macdef init
  machine not.a.machine login no password no

machine after.example.org password only account ignored
machine hash.example.org login # password #1
machine cache.example.org login second password never
`

test('machines, quotes, comments and macros', () => {
  const netrc = Netrc.parse(FILE)
  const of = (host: string): unknown => netrc.credentialsFor(host)
  expect(of('cache.example.org')).toEqual({ user: 'nix', password: 'secret' })
  expect(of('CACHE.example.org')).toEqual({ user: 'nix', password: 'secret' })
  const quoted = { user: 'a user', password: 'with "quotes", \\ and # signs' }
  expect(of('quoted.example.org')).toEqual(quoted)
  expect(of('not.a.machine')).toBeUndefined()
  expect(of('after.example.org')).toEqual({ user: '', password: 'only' })
  expect(of('hash.example.org')).toEqual({ user: '#', password: '#1' })
  expect(of('example.org')).toBeUndefined()
})

test('the default is for all other hosts, wherever it stands', () => {
  const netrc = Netrc.parse('default login any password x machine a login b password c')
  expect(netrc.credentialsFor('a')).toEqual({ user: 'b', password: 'c' })
  expect(netrc.credentialsFor('other')).toEqual({ user: 'any', password: 'x' })
})

test('what can not be read is said without a word of what is in it', async () => {
  const open = 'machine a login b\npassword "secret'
  expect(() => Netrc.parse(open)).toThrow('line 2: a quoted word has no closing quote')
  expect(() => Netrc.parse(' '.repeat(NETRC_LENGTH_MAX + 1))).toThrow(NetrcError)
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'netrc')
  expect((await Netrc.read(path)).credentialsFor('a')).toBeUndefined()
  await writeFile(path, open)
  await expect(Netrc.read(path)).rejects.toThrow(`${path}: line 2`)
  await expect(Netrc.read(directory.path)).rejects.toThrow('EISDIR')
})

test('whatever is written in quotes is read back', () => {
  const word = fc.string({ unit: 'grapheme' })
  const quoted = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`
  fc.assert(
    fc.property(word, word, fc.array(word), (user, password, others) => {
      const lines = others.map((it) => `machine m login ${quoted(it)}`)
      const text = [`machine h login ${quoted(user)} password ${quoted(password)}`, ...lines]
      const read = Netrc.parse(text.join('\n')).credentialsFor('h')
      expect(read).toEqual({ user, password })
    }),
  )
})

test('any text is read, or refused as one that is no netrc', () => {
  const words = [
    'machine',
    'login',
    'password',
    'macdef',
    'default',
    '"',
    '\\',
    '#',
    '\n',
    ' ',
    'x',
  ]
  const text = fc.array(fc.oneof(fc.constantFrom(...words), fc.string())).map((it) => it.join(' '))
  fc.assert(
    fc.property(text, (it) => {
      try {
        Netrc.parse(it).credentialsFor('x')
      } catch (error) {
        expect(error).toBeInstanceOf(NetrcError)
      }
    }),
    { numRuns: 1_000 },
  )
})
