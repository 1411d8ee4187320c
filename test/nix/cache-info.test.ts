import { expect, test } from 'vitest'
import { CACHE_INFO_LENGTH_MAX, parseCacheInfo, renderCacheInfo } from '../../src/nix/cache-info.ts'
import { expectNixError } from './expect-nix-error.ts'

const INFO = { storeDirectory: '/nix/store', wantMassQuery: true, priority: 30 }

test('the text is what Nix writes, and comes back', () => {
  const text = renderCacheInfo(INFO)
  expect(text).toBe('StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n')
  expect(parseCacheInfo(text)).toEqual(INFO)
  const shy = { ...INFO, wantMassQuery: false }
  expect(parseCacheInfo(renderCacheInfo(shy))).toEqual(shy)
})

test('missing fields have Nix’s defaults, unknown ones are passed over', () => {
  const defaults = { storeDirectory: '/nix/store', wantMassQuery: false, priority: 0 }
  expect(parseCacheInfo('')).toEqual(defaults)
  expect(parseCacheInfo('New: 1\n\nPriority:41')).toEqual({ ...defaults, priority: 41 })
  expect(parseCacheInfo('StoreDir: /gnu/store\r\n').storeDirectory).toBe('/gnu/store')
})

test.each([
  ['an HTML page', '<html>'],
  ['a priority in words', 'Priority: high\n'],
  ['too long', `X: ${'x'.repeat(CACHE_INFO_LENGTH_MAX)}`],
])('refused: %s', (_, text) => {
  expectNixError('bad-cache-info', () => parseCacheInfo(text))
})
