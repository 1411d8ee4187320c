import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseUpstreamUrl, shownUrl, UpstreamUrlError } from '../../src/upstream/upstream-url.ts'

test.each([
  ['https://cache.nixos.org', 'cache.nixos.org', 'https://cache.nixos.org/'],
  ['https://cache.nixos.org/?priority=30', 'cache.nixos.org', 'https://cache.nixos.org/'],
  ['http://[::1]:8080/a/b', '[::1]:8080/a/b', 'http://[::1]:8080/a/b/'],
  ['https://nix:s%20cret@example.org/x/', 'example.org/x', 'https://example.org/x/'],
])('%s is a cache behind HTTP', (text, name, base) => {
  const url = parseUpstreamUrl(text)
  expect(url.name).toBe(name)
  if (url.location.kind !== 'http') throw new Error(url.location.kind)
  expect(url.location.base.href).toBe(base)
})

test('who we are is kept apart from where it is', () => {
  const { location } = parseUpstreamUrl('https://nix:s%20cret@example.org')
  expect(location).toMatchObject({ credentials: { user: 'nix', password: 's cret' } })
  expect(parseUpstreamUrl('https://example.org').location).toMatchObject({
    credentials: undefined,
  })
})

test('directories, buckets and other machines', () => {
  expect(parseUpstreamUrl('file:///mnt/my%20cache/')).toMatchObject({
    name: 'file:///mnt/my cache',
    location: { kind: 'file', directory: '/mnt/my cache' },
  })
  expect(parseUpstreamUrl('s3://bucket/pre/fix?region=eu-west-1&profile=me')).toMatchObject({
    name: 's3://bucket/pre/fix',
    location: { kind: 's3', bucket: 'bucket', prefix: 'pre/fix/', region: 'eu-west-1' },
  })
  expect(parseUpstreamUrl('s3://bucket?endpoint=minio:9000&scheme=http')).toMatchObject({
    name: 's3://bucket at minio:9000',
    location: { endpoint: 'minio:9000', scheme: 'http', prefix: '', profile: undefined },
  })
  expect(parseUpstreamUrl('s3://bucket?endpoint=http://minio:9000')).toMatchObject({
    location: { endpoint: 'minio:9000', scheme: 'http' },
  })
  expect(parseUpstreamUrl('sftp://me@host:2222/srv/cache?ssh-key=/k')).toMatchObject({
    name: 'sftp://host:2222/srv/cache',
    location: { kind: 'sftp', host: 'host', port: 2222, user: 'me', keyFile: '/k' },
  })
})

test('of the parameters that Nix knows some count, and of the others it is said', () => {
  const url = parseUpstreamUrl('https://a.org?priority=7&trusted=true&compression=xz')
  expect(url.priority).toBe(7)
  expect(url.notes).toEqual([
    'the parameter "trusted" is not heeded: what a cache says counts by its signatures',
    'the parameter "compression" is not heeded',
  ])
  expect(parseUpstreamUrl('https://a.org').priority).toBeUndefined()
})

test.each([
  ['', 'is not the URL of a binary cache'],
  ['cache.nixos.org', 'is not the URL of a binary cache'],
  ['daemon', 'is a store of Nix, and not the URL of a binary cache'],
  ['ssh-ng://root@host', 'is a store of Nix, and not the URL of a binary cache'],
  ['ftp://host/x', 'is not the URL of a binary cache'],
  ['file://host/x', 'names a host; a directory is file:///path'],
  ['file:///', 'names no directory'],
  ['s3://b', 'names no bucket'],
  ['s3://key:word@bucket', 'holds credentials'],
  ['s3://bucket?scheme=ftp', 'is http or https'],
  ['s3://bucket?endpoint=a/b', 'is HOST or HOST:PORT'],
  ['sftp://host', 'sftp://USER@HOST/PATH'],
  ['sftp://me:word@host/x', 'holds a password'],
  ['https://a.org?priority=soon', 'is a number'],
  ['https://a.org:99999/', 'is no well-formed URL'],
  ['https://user:80/word@host', 'in a password / is %2F'],
  ['file:///a%zz', 'escapes'],
  ['file:///a%00b', 'escapes'],
  [`https://a.org/${'a'.repeat(5_000)}`, 'at most 4096 characters'],
])('%s: %s', (text, what) => {
  expect(() => parseUpstreamUrl(text)).toThrow(UpstreamUrlError)
  expect(() => parseUpstreamUrl(text)).toThrow(what)
})

test('no error, name or note shows who we are', () => {
  const secret = 'hunter2'
  const wrap = fc.constantFrom<(it: string) => string>(
    (it) => `https://user:${it}@host/path`,
    (it) => `https://user:${it}/x@host:99999/path`,
    (it) => `https://${it}@host`,
    (it) => `sftp://user:${it}@host/path`,
    (it) => `s3://user:${it}@bucket`,
    (it) => `ftp://user:${it}@host`,
    (it) => `user:${it}@host`,
    (it) => `file://${it}@host/%zz`,
    (it) => `https://host?token=${it}&priority=x`,
    (it) => `https://host?token=${it}`,
  )
  fc.assert(
    fc.property(wrap, fc.string({ maxLength: 8 }), fc.string({ maxLength: 8 }), (at, a, b) => {
      const text = at(a.replace(/[?#]/g, '') + secret + b.replace(/[?#]/g, ''))
      let said: string
      try {
        const { name, notes } = parseUpstreamUrl(text)
        said = [name, ...notes].join()
      } catch (error) {
        expect(error).toBeInstanceOf(UpstreamUrlError)
        const { message, cause } = error as Error
        said = `${message} ${cause}`
      }
      expect(said).not.toContain(secret)
    }),
    { numRuns: 2_000 },
  )
  expect(shownUrl('https://a:b@c/d?e#f')).toBe('"https://c/d"')
})

test('any text is a cache, or refused as one that is none', () => {
  const parts = ['https://', 'file://', 's3://', 'sftp://', '?', '&', '=', '@', ':', '/', '%', 'a']
  const text = fc.array(fc.oneof(fc.constantFrom(...parts), fc.string())).map((it) => it.join(''))
  fc.assert(
    fc.property(fc.constantFrom(...parts), text, (scheme, rest) => {
      try {
        expect(parseUpstreamUrl(scheme + rest).name).toBeTruthy()
      } catch (error) {
        expect(error).toBeInstanceOf(UpstreamUrlError)
      }
    }),
    { numRuns: 2_000 },
  )
})
