import { expect, test } from 'vitest'
import { SymlinkNode } from '../../../src/castore/model/node.ts'
import { encodeUrlRoot, rootOfNarUrl } from '../../../src/castore/model/root-url.ts'

const node = new SymlinkNode(Buffer.from('/nix/store/somewhereelse'))
const SEGMENT = 'GhoSGC9uaXgvc3RvcmUvc29tZXdoZXJlZWxzZQ'

test('snix and tvix name a root so', () => {
  expect(encodeUrlRoot(node)).toBe(SEGMENT)
  for (const name of ['snix-castore', 'tvix-castore']) {
    expect(rootOfNarUrl(`nar/${name}/${SEGMENT}?narsize=136`)).toEqual({ node, narSize: 136 })
    expect(rootOfNarUrl(`nar/${name}/${SEGMENT}?path=x`)).toEqual({ node, narSize: undefined })
    expect(rootOfNarUrl(`nar/${name}/${SEGMENT}`)).toEqual({ node, narSize: undefined })
  }
})

test.each([
  `nar/${SEGMENT}.nar`,
  `nar/other-castore/${SEGMENT}`,
  `/nar/snix-castore/${SEGMENT}`,
  `http://elsewhere/nar/snix-castore/${SEGMENT}`,
  `nar/snix-castore/${SEGMENT}/more`,
  `nar/snix-castore/${SEGMENT}#part`,
  'nar/snix-castore/',
  '',
])('%s names none', (url) => {
  expect(rootOfNarUrl(url)).toBeUndefined()
})

test.each([
  'nar/snix-castore/AAAA',
  'nar/snix-castore/a=',
  `nar/snix-castore/${'x'.repeat(6001)}`,
  `nar/snix-castore/${SEGMENT}?narsize=-1`,
  `nar/snix-castore/${SEGMENT}?narsize=1e3`,
  `nar/snix-castore/${SEGMENT}?narsize=${'9'.repeat(17)}`,
])('%s has the form, and says what is none', (url) => {
  expect(() => rootOfNarUrl(url)).toThrow(
    expect.objectContaining({ fault: expect.objectContaining({ code: 'invalid' }) }),
  )
})
