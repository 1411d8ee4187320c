import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { systemClock } from '../../src/foundation/system-clock.ts'
import { CacheError, type CacheFault } from '../../src/upstream/cache-error.ts'
import type { UpstreamLimits } from '../../src/upstream/http-cache-files.ts'
import { S3_PUT_BYTES_MAX, S3CacheFiles } from '../../src/upstream/s3-cache-files.ts'
import { parseUpstreamUrl } from '../../src/upstream/upstream-url.ts'
import { bodyOf, faultOf } from '../contracts/cache-files-contract.ts'
import { allBytes, call, noise } from '../fixtures/content.ts'
import { answering, failingCache, type Misdeed } from '../fixtures/failing-cache.ts'
import { S3_ENV } from '../fixtures/s3-server.ts'

/** Short, where something never comes; elsewhere a busy machine has its time. */
const SHORT = { connectMs: 300, answerMs: 300, stallMs: 300 }

beforeEach(() => {
  for (const [name, value] of Object.entries(S3_ENV)) vi.stubEnv(name, value)
})
afterEach(() => vi.unstubAllEnvs())

function opened(port: number, limits: UpstreamLimits = {}): S3CacheFiles & AsyncDisposable {
  const url = parseUpstreamUrl(`s3://cache?endpoint=127.0.0.1:${port}&scheme=http`)
  if (url.location.kind !== 's3') throw new Error('no URL of S3')
  const init = { ...limits, location: url.location, name: url.name }
  const files = new S3CacheFiles({ clock: systemClock }, init)
  return Object.assign(files, { [Symbol.asyncDispose]: () => files.close() })
}

async function outcomeOf(
  misdeed: Misdeed,
  limits: UpstreamLimits = {},
): Promise<Buffer | CacheFault | undefined> {
  await using cache = await failingCache(misdeed)
  await using files = opened(cache.port, limits)
  try {
    const file = await files.get('x', call)
    return file === undefined ? undefined : await allBytes(file.bytes)
  } catch (error) {
    if (error instanceof CacheError) return error.fault
    throw error
  }
}

function refusal(status: string, code: string): Misdeed {
  const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>no</Message></Error>`
  return answering(status, ['content-type: application/xml'], body)
}

test('what it works with can be loaded before anybody is there to be reached', async () => {
  await using files = opened(1)
  await files.prepare()
})

describe('a bucket', () => {
  test.each<[string, string, CacheFault['code'] | 'absent']>([
    ['404 Not Found', 'NoSuchKey', 'absent'],
    ['404 Not Found', 'NoSuchBucket', 'no-cache'],
    ['403 Forbidden', 'AccessDenied', 'absent'],
    ['403 Forbidden', 'InvalidAccessKeyId', 'refused'],
    ['403 Forbidden', 'SignatureDoesNotMatch', 'refused'],
    ['500 Internal', 'InternalError', 'broken'],
    ['503 Slow Down', 'SlowDown', 'busy'],
  ])('that says %s, %s', async (status, code, end) => {
    const outcome = await outcomeOf(refusal(status, code))
    if (end === 'absent') expect(outcome).toBeUndefined()
    else expect(outcome).toMatchObject({ code: end })
  })

  test('that is not there, or says nothing', async () => {
    await using files = opened(1)
    expect(await faultOf(files.get('x', call))).toBe('unreachable')
    expect(await outcomeOf(() => undefined, SHORT)).toMatchObject({ code: 'unreachable' })
  })

  test('whose body breaks off, and is continued or given up', async () => {
    const bytes = noise(50_000)
    const breaking: Misdeed = (socket, { headers }) => {
      const from = Number(/range: bytes=(\d+)-/.exec(headers)?.[1] ?? 0)
      const status = from > 0 ? '206 Partial Content' : '200 OK'
      const range = `content-range: bytes ${from}-${bytes.length - 1}/${bytes.length}`
      const length = `content-length: ${bytes.length - from}`
      const head = [`HTTP/1.1 ${status}`, 'etag: "a"', length, ...(from > 0 ? [range] : []), '', '']
      socket.write(head.join('\r\n'))
      socket.end(bytes.subarray(from, from + 20_000))
    }
    expect(Buffer.compare((await outcomeOf(breaking)) as Buffer, bytes)).toBe(0)
    const cut = answering('200 OK', ['content-length: 100', 'etag: "a"'])
    expect(await outcomeOf(cut)).toMatchObject({ code: 'cut-off', bytes: 0 })
    const still: Misdeed = (socket) =>
      void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this')
    expect(await outcomeOf(still, SHORT)).toMatchObject({ code: 'cut-off', bytes: 9 })
  })

  test('takes files in one request, and no longer ones', async () => {
    await using files = opened(1)
    const long = { ...bodyOf(noise(10)), size: S3_PUT_BYTES_MAX + 1 }
    expect(await faultOf(files.put('x', long, 'text/plain', call))).toBe('refused')
  })

  test('has no file of a name that leads out of it', async () => {
    await using files = opened(1)
    for (const name of ['../x', '/x', 'a//b', 'a/./b', 'a\\b', 'a\0b', '']) {
      expect(await faultOf(files.get(name, call)), name).toBe('bad-name')
    }
  })
})
