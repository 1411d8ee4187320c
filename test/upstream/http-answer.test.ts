import { expect, test } from 'vitest'
import {
  contentRangeOf,
  RETRY_AFTER_MAX_MS,
  redirectTarget,
  retryAfterMsOf,
} from '../../src/upstream/http-answer.ts'

test('redirects lead from http to https, and not back', () => {
  const to = (from: string, location: string): string =>
    redirectTarget('cache', 'x', new URL(from), location).href
  expect(to('http://a/b/c', '../d?e')).toBe('http://a/d?e')
  expect(to('http://a/b', 'https://c/d')).toBe('https://c/d')
  expect(to('https://a/b', '//c/d')).toBe('https://c/d')
  expect(to('https://a/b', 'https://user:word@c/d')).toBe('https://c/d')
  expect(() => to('https://a/b', 'http://a/b')).toThrow('from https to http')
  for (const location of ['file:///etc/passwd', 'ftp://a/b', 'data:,x', 'http://']) {
    expect(() => to('http://a/b', location), location).toThrow('no HTTP address')
  }
})

test('Retry-After is seconds or a date, and at most so much', () => {
  expect(retryAfterMsOf('2', 0)).toBe(2_000)
  expect(retryAfterMsOf('999999999', 0)).toBe(RETRY_AFTER_MAX_MS)
  expect(retryAfterMsOf('Thu, 01 Jan 1970 00:00:10 GMT', 4_000)).toBe(6_000)
  expect(retryAfterMsOf('Thu, 01 Jan 1970 00:00:10 GMT', 40_000)).toBe(0)
  for (const text of [undefined, '', 'soon', '-1']) {
    expect(retryAfterMsOf(text, 0)).toBeUndefined()
  }
})

test('Content-Range', () => {
  expect(contentRangeOf('bytes 5-9/10')).toEqual({ from: 5, size: 10 })
  expect(contentRangeOf('bytes 5-9/*')).toEqual({ from: 5, size: undefined })
  for (const text of [undefined, 'bytes */10', 'lines 1-2/3', 'bytes -1-2/3']) {
    expect(contentRangeOf(text)).toBeUndefined()
  }
})
