import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeRoot } from '../../src/castore/model/directory-codec.ts'
import { DirectoryNode, FileNode, SymlinkNode } from '../../src/castore/model/node.ts'
import { Digest } from '../../src/foundation/digest.ts'
import { GatewayError } from '../../src/gateway/gateway-error.ts'
import { narUrl, rootOfUrl } from '../../src/gateway/nar-url.ts'
import { anyNode, pathInfoOf } from '../fixtures/claims.ts'

const base64 = (text: string): Digest => Digest.of(Buffer.from(text, 'base64url'))

test.each([
  [
    'GhoSGC9uaXgvc3RvcmUvc29tZXdoZXJlZWxzZQ',
    new SymlinkNode(Buffer.from('/nix/store/somewhereelse')),
  ],
  [
    'EiQSIFyngVrctITpoTbBHv5pwdUwF21Um10Y0DjrUoC0s0cMGAw',
    new FileNode(base64('XKeBWty0hOmhNsEe_mnB1TAXbVSbXRjQOOtSgLSzRww'), 12, false),
  ],
  [
    'CiQSID-VGhWv1Yb7MSHvTRPVgugRzg5afyHASX_YdJDp4jVaGAQ',
    new DirectoryNode(base64('P5UaFa_VhvsxIe9NE9WC6BHODlp_IcBJf9h0kOniNVo'), 4),
  ],
])('snix writes the root %s so, and it is read back', (segment, node) => {
  expect(rootOfUrl(segment)).toEqual(node)
  const url = narUrl(pathInfoOf('some', { node, narSize: 123 }))
  expect(url.startsWith(`nar/snix-castore/${segment}?narsize=123&`)).toBe(true)
})

test('any root comes back from its URL, which needs no escaping', () => {
  fc.assert(
    fc.property(anyNode, (node) => {
      const url = narUrl(pathInfoOf('any', { node }))
      const read = new URL(`http://cache/${url}`)
      expect(`${read.pathname}${read.search}`).toBe(`/${url}`)
      const root = rootOfUrl(read.pathname.split('/').at(-1)!)
      expect(Buffer.from(encodeRoot(root))).toEqual(Buffer.from(encodeRoot(node)))
    }),
  )
})

test('a URL says whose NAR it is', () => {
  const pathInfo = pathInfoOf('mine')
  expect(new URL(`http://cache/${narUrl(pathInfo)}`).searchParams.get('path')).toBe(
    pathInfo.storePath.hashText,
  )
})

test.each(['', 'a', '=', 'GhoSGC9u=', '!!!', 'AAAA', 'x'.repeat(6001), 'EiQSIA', '../..', 'é'])(
  '%s is no root, and a bad request',
  (segment) => {
    expect(() => rootOfUrl(segment)).toThrow(
      expect.objectContaining({ fault: { code: 'bad-request' } }),
    )
  },
)

test('whatever stands in the URL, it is no error of ours', () => {
  const segment = fc.oneof(
    fc.string(),
    fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('base64url')),
  )
  fc.assert(
    fc.property(segment, (text) => {
      try {
        rootOfUrl(text)
      } catch (error) {
        expect(error).toBeInstanceOf(GatewayError)
      }
    }),
  )
})
