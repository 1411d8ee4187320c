import { PassThrough } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { describe, expect, test } from 'vitest'
import { Semaphore } from '../../src/foundation/semaphore.ts'
import { requestBody } from '../../src/gateway/request-body.ts'
import type { PathSource } from '../../src/substitution/path-source.ts'
import { until } from '../fixtures/await-peers.ts'
import { pathNamed } from '../fixtures/claims.ts'
import { call, noise } from '../fixtures/content.ts'
import { manualClock, settled } from '../foundation/manual-clock.ts'
import { directory, file, SMALL } from '../nar/trees.ts'
import { rawHttp } from './raw-http.ts'
import { rawSocket } from './raw-socket.ts'
import { type TestGateway, testGateway } from './test-gateway.ts'
import { hashText, NAR, NAR_INFO_PATH, narInfo, put, putNar } from './uploading.ts'

const NAME = `/nar/${hashText(NAR)}.nar`
const HEAD = `PUT ${NAME} HTTP/1.1\r\nHost: x\r\nContent-Length: ${NAR.length}\r\n`

async function isWell(gateway: TestGateway): Promise<boolean> {
  return (await rawHttp(gateway.port, '/nix-cache-info')).status === 200
}

describe('100 Continue', () => {
  const ELSEWHERE = 'X-Forwarded-For: 192.0.2.7\r\n'
  const EXPECT = 'Expect: 100-continue\r\n\r\n'

  test('is said when the body is wanted, and then the body is read', async () => {
    await using gateway = await testGateway()
    using client = await rawSocket(gateway.port)
    client.write(HEAD + EXPECT)
    expect(await client.until(/\r\n\r\n/)).toBe('HTTP/1.1 100 Continue\r\n\r\n')
    client.write(NAR)
    expect(await client.until(/\r\n\r\n.*\r\n\r\n/s)).toContain('HTTP/1.1 204 No Content')
  })

  test.each([
    ['a name that leads elsewhere', `PUT /nar/..%2fx HTTP/1.1\r\nHost: x\r\n`, 400],
    ['a compression that is not known', 'PUT /nar/x.nar.lzip HTTP/1.1\r\nHost: x\r\n', 400],
    ['no such route', 'PUT /x HTTP/1.1\r\nHost: x\r\n', 404],
    ['a wrong token', `${HEAD}${ELSEWHERE}Authorization: Bearer x\r\n`, 401],
    ['a stranger', `PUT /log/x.drv HTTP/1.1\r\nHost: x\r\n${ELSEWHERE}`, 401],
    [
      'a body too long',
      `PUT ${NAR_INFO_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n`,
      413,
    ],
  ])('is not said to %s', async (_, head, status) => {
    await using gateway = await testGateway()
    using client = await rawSocket(gateway.port)
    const length = head.includes('Content-Length') ? '' : 'Content-Length: 10\r\n'
    client.write(head + length + EXPECT)
    const answer = await client.closed() // who was not told to go on can not go on at all
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(answer.toLowerCase()).toContain('connection: close')
    expect(answer).not.toContain('100 Continue')
  })

  test('another expectation is refused', async () => {
    await using gateway = await testGateway()
    using client = await rawSocket(gateway.port)
    client.write(`${HEAD}Expect: a miracle\r\n\r\n`)
    expect(await client.until(/\r\n/)).toMatch(/^HTTP\/1.1 417 /)
  })
})

test('headers that trickle are cut', async () => {
  await using gateway = await testGateway({ limits: { headersMs: 100, headersCheckMs: 50 } })
  using client = await rawSocket(gateway.port)
  client.write('GET /nix-cache-info HTTP/1.1\r\nHost: x\r\n')
  const trickle = setInterval(() => client.write('X: y\r\n'), 20)
  try {
    expect(await client.closed()).toMatch(/^HTTP\/1.1 408 /)
  } finally {
    clearInterval(trickle)
  }
  expect(await isWell(gateway)).toBe(true)
})

test('a body that stands still is cut', async () => {
  const clock = manualClock()
  await using gateway = await testGateway({ clock, limits: { uploadIdleMs: 1000 } })
  using client = await rawSocket(gateway.port)
  client.write(`${HEAD}\r\n`)
  client.write(NAR.subarray(0, 10_000))
  await until(async () => {
    await clock.pass(1000)
    return client.received() !== ''
  })
  expect(await client.until(/\r\n\r\n/)).toMatch(/^HTTP\/1.1 408 /)
  expect((await putNar(gateway)).status).toBe(204)
})

test('a body may take its time while it moves, and while we are the slow ones', async () => {
  const clock = manualClock()
  const raw = Object.assign(new PassThrough(), { httpVersion: '1.1' })
  const request = { raw, headers: {} } as unknown as FastifyRequest
  const components = { clock, limits: { uploadIdleMs: 1000 } }
  const body = requestBody(request, {} as FastifyReply, components)
  for (let i = 0; i < 5; i++) {
    const next = body.next()
    await settled()
    await clock.pass(900)
    raw.write('piece')
    expect(String((await next).value)).toBe('piece')
  }
  await clock.pass(5000) // nobody asks for more
  raw.write('late')
  expect(String((await body.next()).value)).toBe('late')
  const last = body.next()
  const failed = expect(last).rejects.toMatchObject({ fault: { code: 'timed-out' } })
  await settled()
  await clock.pass(1000)
  await clock.pass(1000)
  await failed
  expect(clock.sleepers).toBe(0)
})

test('a reader that takes nothing is cut, one that waits for an answer is not', async () => {
  const opened = Promise.withResolvers<void>()
  const slow: PathSource = {
    name: 'slow',
    priority: 0,
    async *find() {
      await opened.promise
      yield* []
    },
  }
  const limits = { stalledReaderMs: 200 }
  await using gateway = await testGateway({ limits, sources: [slow] })
  const tree = directory({ large: file(noise(32 * 1024 * 1024)) })
  const { storePath } = await gateway.hold('large', tree)
  const info = await rawHttp(gateway.port, `/${storePath.hashText}.narinfo`)
  const [, url] = /^URL: (.*)$/m.exec(info.body.toString())!

  using waiting = await rawSocket(gateway.port)
  waiting.write(`GET /${pathNamed('absent').hashText}.narinfo HTTP/1.1\r\nHost: x\r\n\r\n`)
  using reader = await rawSocket(gateway.port)
  reader.socket.pause()
  reader.write(`GET /${url} HTTP/1.1\r\nHost: x\r\n\r\n`)
  // Only the other end can tell: nothing is read here.
  await until(() => gateway.gateway.connections === 1)
  reader.socket.resume()
  expect((await reader.closed()).length).toBeLessThan(32 * 1024 * 1024)
  opened.resolve()
  expect(await waiting.until(/\r\n\r\n/)).toMatch(/^HTTP\/1.1 404 /)
})

test('more connections than are allowed are refused, and those there are go on', async () => {
  await using gateway = await testGateway({ limits: { connectionsMax: 3 } })
  const clients = await Promise.all([1, 2, 3].map(() => rawSocket(gateway.port)))
  const ask = 'GET /nix-cache-info HTTP/1.1\r\nHost: x\r\n\r\n'
  for (const client of clients) {
    client.write(ask)
    await client.until(/StoreDir/)
  }
  using fourth = await rawSocket(gateway.port)
  expect(await fourth.closed()).toBe('')
  for (const client of clients) client[Symbol.dispose]()
  await until(async () => await isWell(gateway).catch(() => false))
})

test('more requests than are allowed at once are told to come back', async () => {
  const gate = new Semaphore(1)
  const held = await gate.acquire(1, call)
  const slow: PathSource = {
    name: 'slow',
    priority: 0,
    async *find() {
      using _ = await gate.acquire(1, call)
      yield* []
    },
  }
  await using gateway = await testGateway({ sources: [slow], limits: { requestsMax: 5 } })
  using client = await rawSocket(gateway.port)
  const ask = (i: number) =>
    `GET /${pathNamed(`absent-${i}`).hashText}.narinfo HTTP/1.1\r\nHost: x\r\n\r\n`
  for (let i = 0; i < 5; i++) client.write(ask(i)) // one after the other, on one connection
  await until(async () => (await rawHttp(gateway.port, '/nix-cache-info')).status === 503)
  const { headers } = await rawHttp(gateway.port, '/nix-cache-info')
  expect(headers['retry-after']).toBe('1')
  held[Symbol.dispose]()
  await client.until(/(HTTP\/1.1 404.*){5}/s)
  expect(await isWell(gateway)).toBe(true)
})

test('more NARs than are sent at once wait for those before them, and nothing else does', async () => {
  await using gateway = await testGateway({ limits: { narsAtOnceMax: 1 } })
  const { storePath } = await gateway.hold('large', directory({ f: file(noise(32 * 1024 * 1024)) }))
  const info = await rawHttp(gateway.port, `/${storePath.hashText}.narinfo`)
  const [, url] = /^URL: (.*)$/m.exec(info.body.toString())!
  const ask = `GET /${url} HTTP/1.1\r\nHost: x\r\n\r\n`
  using first = await rawSocket(gateway.port)
  first.write(ask)
  await first.until(/nix-archive-1/)
  first.socket.pause()
  using second = await rawSocket(gateway.port)
  second.write(ask)
  const head = await rawHttp(gateway.port, `/${url}`, { method: 'HEAD' })
  expect(head.status).toBe(200)
  expect(await isWell(gateway)).toBe(true)
  expect(second.received()).not.toContain('nix-archive-1')
  first[Symbol.dispose]()
  await second.until(/nix-archive-1/)
})

test('the rest of a refused body is let pass only so far', async () => {
  const limits = { lingerBytesMax: 100_000 }
  await using gateway = await testGateway({ limits, clock: manualClock() })
  using client = await rawSocket(gateway.port)
  client.write('PUT /nar/x.nar HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999999\r\n\r\n')
  client.write(Buffer.alloc(1000)) // no NAR
  await client.until(/HTTP\/1.1 400/)
  const flood = setInterval(() => client.write(Buffer.alloc(50_000)), 1)
  try {
    await client.closed()
  } finally {
    clearInterval(flood)
  }
})

test('the rest of a refused body is let pass only so long', async () => {
  const clock = manualClock()
  await using gateway = await testGateway({ clock, limits: { lingerMs: 500 } })
  using client = await rawSocket(gateway.port)
  client.write('PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n')
  await client.until(/HTTP\/1.1 404/)
  await until(() => clock.sleepers > 0)
  await clock.pass(500)
  await client.closed()
})

test('after a refused body that came whole, the connection goes on', async () => {
  await using gateway = await testGateway()
  using client = await rawSocket(gateway.port)
  client.write('PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n')
  await client.until(/HTTP\/1.1 404/)
  client.write(Buffer.alloc(100_000))
  client.write('GET /nix-cache-info HTTP/1.1\r\nHost: x\r\n\r\n')
  await client.until(/StoreDir/)
})

test('a path that was put in by slow pieces is whole', async () => {
  await using gateway = await testGateway()
  using client = await rawSocket(gateway.port)
  client.write(`${HEAD}\r\n`)
  for (let at = 0; at < NAR.length; at += 200_000) {
    client.write(NAR.subarray(at, at + 200_000))
    await new Promise((resolve) => setImmediate(resolve))
  }
  await client.until(/HTTP\/1.1 204/)
  expect((await put(gateway, NAR_INFO_PATH, narInfo())).status).toBe(204)
  expect((await gateway.hold('small', SMALL)).narSize).toBeGreaterThan(0)
})
