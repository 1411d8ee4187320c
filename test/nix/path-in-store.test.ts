import { expect, test } from 'vitest'
import { parsePathInStore } from '../../src/nix/path-in-store.ts'
import { pathNamed } from '../fixtures/claims.ts'
import { expectNixError } from './expect-nix-error.ts'

const PATH = pathNamed('hello-2.12').toString()

test.each(['', '/', '/bin', '/bin/hello', '//x/', '/../x'])(
  'a path with %j behind it',
  (inside) => {
    const parsed = parsePathInStore(Buffer.from(`${PATH}${inside}`))
    expect(parsed.storePath.toString()).toBe(PATH)
    expect(Buffer.from(parsed.inside).toString()).toBe(inside)
  },
)

test('what is behind it may be any bytes', () => {
  const inside = Buffer.from([0x2f, 0xff, 0x0a, 0x2f, 0])
  const parsed = parsePathInStore(Buffer.concat([Buffer.from(PATH), inside]))
  expect(Buffer.from(parsed.inside).equals(inside)).toBe(true)
})

test.each(['', '/', '/nix/store', '/nix/store/', '/etc/passwd', '/nix/store/x', 'nix/store/x/y'])(
  '%j is no path in the store',
  (path) => {
    expectNixError('bad-store-path', () => parsePathInStore(Buffer.from(path)))
  },
)

test('nor is one whose name is no text', () => {
  const path = Buffer.concat([Buffer.from(PATH), Buffer.from([0xff])])
  expectNixError('bad-store-path', () => parsePathInStore(path))
})
