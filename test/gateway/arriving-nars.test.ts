import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { parseNarInfo } from '../../src/nix/nar-info.ts'
import { encodeNixBase32 } from '../../src/nix/nix-base32.ts'
import { PathFacts } from '../../src/pathinfo/path-facts.ts'
import { PathInfo } from '../../src/pathinfo/path-info.ts'
import { Signer } from '../../src/pathinfo/signer.ts'
import { STREAMED_BYTES_MIN } from '../../src/substitution/nar-arrival.ts'
import type { NarOffer, PathSource } from '../../src/substitution/path-source.ts'
import { until } from '../fixtures/await-peers.ts'
import { KEYS, pathInfoOf, pathNamed } from '../fixtures/claims.ts'
import { call, noise } from '../fixtures/content.ts'
import { directory, file, narOf } from '../nar/trees.ts'
import { testGateway } from './test-gateway.ts'

const LARGE = narOf(directory({ a: file(noise(2 * STREAMED_BYTES_MIN, 'a')) }))
const WRONG = narOf(directory({ a: file(noise(2 * STREAMED_BYTES_MIN, 'wrong')) }))
const SMALL = narOf(directory({ a: file('a') }))
const storePath = pathNamed('path')

/** A cache with one path, whose NAR comes up to where it is let. */
class Cache implements PathSource {
  readonly name: string
  readonly priority: number
  readonly facts: PathFacts
  readonly #nar: Buffer
  pulls = 0
  /** How many bytes of it may come by now. */
  limit = Number.POSITIVE_INFINITY
  /** What it breaks off with, once it has come to its limit. */
  fault: Error | undefined

  constructor(name: string, init: { claimed: Buffer; nar?: Buffer; priority?: number }) {
    this.name = name
    this.priority = init.priority ?? 40
    this.#nar = init.nar ?? init.claimed
    const narSha256 = createHash('sha256').update(init.claimed).digest()
    const fields = { storePath, narSize: init.claimed.length, narSha256, references: [] }
    const plain = new PathInfo({ ...pathInfoOf('path'), ...fields, signatures: [] })
    const { signatures } = new Signer({ key: KEYS.a }).sign(plain)
    this.facts = new PathFacts({ ...fields, signatures })
  }

  get narInfoPath(): string {
    return `/${storePath.hashText}.narinfo`
  }

  get narPath(): string {
    return `/nar/${encodeNixBase32(this.facts.narSha256)}.nar?path=${storePath.hashText}`
  }

  async *find(): AsyncGenerator<NarOffer> {
    const nar = () => this.#pieces()
    yield {
      kind: 'nar',
      facts: this.facts,
      keys: [],
      isShared: true,
      nar,
      turnDown: () => undefined,
    }
  }

  async *#pieces(): AsyncGenerator<Uint8Array> {
    this.pulls++
    for (let at = 0; at < this.#nar.length; at += 100_000) {
      await until(() => at < this.limit || this.fault !== undefined)
      if (this.fault !== undefined && at >= this.limit) throw this.fault
      yield this.#nar.subarray(at, at + 100_000)
    }
  }
}

const trustedKeys = [KEYS.a.publicKey()]

test('the narinfo of what only a cache has names its NAR by its hash', async () => {
  const cache = new Cache('cache', { claimed: SMALL })
  await using gateway = await testGateway({ sources: [cache], trustedKeys })
  const info = parseNarInfo(await (await fetch(`${gateway.url}${cache.narInfoPath}`)).text())
  expect(`/${info.url}`).toBe(cache.narPath)
  expect(info).toMatchObject({ compression: 'none', narSize: SMALL.length, fileSize: SMALL.length })
  expect(cache.pulls).toBe(0)
  const head = await fetch(`${gateway.url}${cache.narPath}`, { method: 'HEAD' })
  expect(head.headers.get('content-length')).toBe(`${SMALL.length}`)
  expect(cache.pulls).toBe(0)
  const got = Buffer.from(await (await fetch(`${gateway.url}${cache.narPath}`)).arrayBuffer())
  expect(got.equals(SMALL)).toBe(true)
  expect((await gateway.pathInfos.get(storePath.hash, call))?.narSize).toBe(SMALL.length)
  // The URL stays good once the path is here.
  const again = Buffer.from(await (await fetch(`${gateway.url}${cache.narPath}`)).arrayBuffer())
  expect(again.equals(SMALL)).toBe(true)
  expect(cache.pulls).toBe(1)
})

test('a long one is passed on to all who ask while it comes, and comes once', async () => {
  const cache = new Cache('cache', { claimed: LARGE })
  cache.limit = 3_000_000
  await using gateway = await testGateway({ sources: [cache], trustedKeys })
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => fetch(`${gateway.url}${cache.narPath}`)),
  )
  const [first] = answers
  const reader = first!.body!.getReader()
  const begun = await reader.read()
  expect(begun.value!.length).toBeGreaterThan(0)
  await reader.cancel() // it stops nobody else
  const part = await fetch(`${gateway.url}${cache.narPath}`, {
    headers: { range: 'bytes=1000000-1000009' },
  })
  expect(part.status).toBe(206)
  expect(Buffer.from(await part.arrayBuffer()).equals(LARGE.subarray(1e6, 1e6 + 10))).toBe(true)
  cache.limit = Number.POSITIVE_INFINITY
  for (const answer of answers.slice(1)) {
    expect(Buffer.from(await answer.arrayBuffer()).equals(LARGE)).toBe(true)
  }
  expect(cache.pulls).toBe(1)
})

test('a short one that is not what was signed is absent, or comes from the next cache', async () => {
  const liar = new Cache('liar', {
    claimed: SMALL,
    nar: narOf(directory({ a: file('b') })),
    priority: 30,
  })
  await using alone = await testGateway({ sources: [liar], trustedKeys })
  expect((await fetch(`${alone.url}${liar.narPath}`)).status).toBe(404)
  const honest = new Cache('honest', { claimed: SMALL })
  await using gateway = await testGateway({ sources: [liar, honest], trustedKeys })
  const answer = await fetch(`${gateway.url}${liar.narPath}`)
  expect(Buffer.from(await answer.arrayBuffer()).equals(SMALL)).toBe(true)
})

test('a long one that is not what was signed breaks off before its end', async () => {
  const liar = new Cache('liar', { claimed: LARGE, nar: WRONG, priority: 30 })
  const honest = new Cache('honest', { claimed: LARGE })
  await using gateway = await testGateway({ sources: [liar, honest], trustedKeys })
  const answer = await fetch(`${gateway.url}${liar.narPath}`)
  await expect(answer.arrayBuffer()).rejects.toThrow()
  // What is kept is what was signed.
  const again = await fetch(`${gateway.url}${liar.narPath}`)
  expect(Buffer.from(await again.arrayBuffer()).equals(LARGE)).toBe(true)
})

test('where a cache breaks off another goes on, and the client notices nothing', async () => {
  const dying = new Cache('dying', { claimed: LARGE, priority: 30 })
  dying.limit = 5_000_000
  dying.fault = new Error('the cable is cut')
  const honest = new Cache('honest', { claimed: LARGE })
  await using gateway = await testGateway({ sources: [dying, honest], trustedKeys })
  const answer = await fetch(`${gateway.url}${dying.narPath}`)
  expect(Buffer.from(await answer.arrayBuffer()).equals(LARGE)).toBe(true)
  expect([dying.pulls, honest.pulls]).toEqual([1, 1])
})

test('a URL with another NAR hash than the path has is absent', async () => {
  const cache = new Cache('cache', { claimed: SMALL })
  await using gateway = await testGateway({ sources: [cache], trustedKeys })
  const other = cache.narPath.replace(/nar\/[0-9a-z]+/, `nar/${'0'.repeat(52)}`)
  expect((await fetch(`${gateway.url}${other}`)).status).toBe(404)
  expect((await fetch(`${gateway.url}${other}`, { method: 'HEAD' })).status).toBe(404)
})
