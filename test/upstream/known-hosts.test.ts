import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { KnownHosts } from '../../src/upstream/known-hosts.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'

const KEYS = ['one', 'two', 'three'].map((it) => Buffer.from(`key ${it}`))
const [ONE, TWO, THREE] = KEYS.map((it) => it.toString('base64'))

const FILE = `
# a comment
host.example.org,192.0.2.1 ssh-ed25519 ${ONE} somebody@somewhere
[host.example.org]:2222 ssh-ed25519 ${TWO}
*.example.net,!bad.example.net ssh-rsa ${ONE!.replace(/=+$/, '')}
h?st ecdsa-sha2-nistp256 ${THREE}
@revoked * ssh-ed25519 ${TWO}
@cert-authority *.com ssh-ed25519 ${ONE}
host.example.org
`

function knownBy(text: string, host: string, port = 22): number[] {
  const known = KnownHosts.parse(text).of(host, port)
  return KEYS.flatMap((key, i) => (known.isKnownBy(key) ? [i] : []))
}

test('hosts are known by name, address, pattern and port', () => {
  expect(knownBy(FILE, 'host.example.org')).toEqual([0])
  expect(knownBy(FILE, 'HOST.example.org')).toEqual([0])
  expect(knownBy(FILE, '192.0.2.1')).toEqual([0])
  expect(knownBy(FILE, 'a.example.net')).toEqual([0])
  expect(knownBy(FILE, 'bad.example.net')).toEqual([])
  expect(knownBy(FILE, 'host')).toEqual([2])
  expect(knownBy(FILE, 'other')).toEqual([])
  expect(knownBy(FILE, 'a.com')).toEqual([])
  expect(KnownHosts.parse(FILE).of('a.example.net', 22).keyTypes).toEqual(['ssh-rsa'])
  expect(KnownHosts.parse(FILE).of('other', 22).keyTypes).toEqual([])
})

test('a key that was revoked is nobody’s', () => {
  expect(knownBy(FILE, 'host.example.org', 2222)).toEqual([])
  expect(knownBy(FILE.replace(/@revoked.*/, ''), 'host.example.org', 2222)).toEqual([1])
})

test('what OpenSSH hashes is known', async () => {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'known_hosts')
  const blob = Buffer.concat([
    Buffer.from([0, 0, 0, 11]),
    Buffer.from('ssh-ed25519'),
    Buffer.from([0, 0, 0, 32]),
    Buffer.alloc(32, 7),
  ])
  const line = `ssh-ed25519 ${blob.toString('base64')}`
  await writeFile(path, `one.example.org ${line}\n[two.example.org]:2022 ${line}\n`)
  execFileSync('ssh-keygen', ['-q', '-H', '-f', path], { stdio: 'pipe' })
  const text = execFileSync('cat', [path]).toString()
  expect(text).not.toContain('example')
  const known = KnownHosts.parse(text)
  expect(known.of('one.example.org', 22).isKnownBy(blob)).toBe(true)
  expect(known.of('two.example.org', 2022).isKnownBy(blob)).toBe(true)
  expect(known.of('two.example.org', 22).isKnownBy(blob)).toBe(false)
})

test('any text is read, and patterns in a time that their length bounds', () => {
  const words = ['|1|', 'a', '*', '?', '!', ',', ' ', '\n', '@revoked', 'ssh-rsa', '=', ONE!]
  const text = fc.array(fc.oneof(fc.constantFrom(...words), fc.string())).map((it) => it.join(''))
  fc.assert(
    fc.property(text, (it) => {
      expect(KnownHosts.parse(it).of('a', 22).isKnownBy(Buffer.from('nobody'))).toBe(false)
    }),
  )
  const slow = `${'*a'.repeat(2_000)}b ssh-rsa ${ONE}`
  expect(knownBy(slow, 'a'.repeat(5_000))).toEqual([])
})
