import { expect, test } from 'vitest'
import type { Call } from '../../src/foundation/call.ts'
import type { Clock } from '../../src/foundation/clock.ts'
import { systemRandom } from '../../src/foundation/system-random.ts'
import type { StorePath } from '../../src/nix/store-path.ts'
import type { PathInfo } from '../../src/pathinfo/path-info.ts'
import {
  ClosurePush,
  PUSH_ATTEMPTS,
  type PushOutcome,
  UPLOADS_AT_ONCE,
} from '../../src/substitution/closure-push.ts'
import type { PushTarget } from '../../src/substitution/push-target.ts'
import { pathInfoOf, pathNamed } from '../fixtures/claims.ts'
import { call } from '../fixtures/content.ts'

/** Time that passes as soon as somebody waits for it. */
const hasty: Clock = { now: () => 0, sleep: async () => undefined }

/** A cache that notes what is done to it, in order. */
class FakeTarget implements PushTarget {
  readonly name = 'fake'
  readonly there = new Set<string>()
  readonly log: string[] = []
  uploading = 0
  uploadingMax = 0
  /** How often each path's upload fails before it works. */
  readonly failures = new Map<string, number>()
  isClosed = false
  tries = 0

  isFinal(): boolean {
    return this.isClosed
  }

  async holds(storePaths: readonly StorePath[]): Promise<boolean[]> {
    return storePaths.map(({ name }) => this.there.has(name))
  }

  async upload({ storePath, narSize }: PathInfo, onBytes: (bytes: number) => void, _: Call) {
    this.tries++
    this.uploadingMax = Math.max(this.uploadingMax, ++this.uploading)
    await new Promise((resolve) => setImmediate(resolve))
    this.uploading--
    onBytes(narSize)
    const left = this.failures.get(storePath.name) ?? 0
    if (left > 0) {
      this.failures.set(storePath.name, left - 1)
      throw new Error('the cable is cut')
    }
    this.log.push(`upload ${storePath.name}`)
    return async () => {
      this.log.push(`publish ${storePath.name}`)
      this.there.add(storePath.name)
    }
  }
}

function world(graph: Readonly<Record<string, readonly string[]>>) {
  const paths = Object.entries(graph).map(([name, references]) =>
    pathInfoOf(name, { references: references.map(pathNamed) }),
  )
  const byHash = new Map(paths.map((it) => [it.storePath.hashText, it]))
  const target = new FakeTarget()
  const pathInfos = {
    get: async (hash: Uint8Array) =>
      paths.find(({ storePath }) => Buffer.compare(storePath.hash, hash) === 0),
  }
  const push = async (...names: string[]) => {
    const it = new ClosurePush({ pathInfos, target, clock: hasty, random: systemRandom })
    const outcomes: PushOutcome[] = []
    await it.run(names.map(pathNamed), (outcome) => outcomes.push(outcome), call)
    const failed = outcomes.filter(({ error }) => error !== undefined)
    const named = (some: readonly PushOutcome[]) =>
      some.map(({ storePath }) => storePath.name).sort()
    return {
      progress: it.progress,
      outcomes,
      failed: named(failed),
      held: named(outcomes.filter(({ held }) => held)),
    }
  }
  return { target, push, byHash }
}

test('what is referred to is told of before what refers to it', async () => {
  const { target, push } = world({ top: ['a', 'b'], a: ['c'], b: ['c', 'b'], c: [] })
  const { failed, progress, outcomes } = await push('top')
  expect(failed).toEqual([])
  expect(outcomes).toHaveLength(4)
  const order = target.log.filter((it) => it.startsWith('publish')).map((it) => it.slice(8))
  expect([...order].sort()).toEqual(['a', 'b', 'c', 'top'])
  for (const [before, after] of [
    ['c', 'a'],
    ['c', 'b'],
    ['a', 'top'],
    ['b', 'top'],
  ] as const) {
    expect(order.indexOf(before)).toBeLessThan(order.indexOf(after))
  }
  for (const name of order) {
    expect(target.log.indexOf(`upload ${name}`)).toBeLessThan(target.log.indexOf(`publish ${name}`))
  }
  expect(progress).toMatchObject({ pathsTotal: 4, pathsDone: 4 })
  expect(progress.bytesDone).toBe(progress.bytesTotal)
})

test('what is there already does not go again', async () => {
  const { target, push } = world({ top: ['a'], a: [] })
  target.there.add('a')
  const { held } = await push('top')
  expect(held).toEqual(['a'])
  expect(target.log).toEqual(['upload top', 'publish top'])
  expect((await push('top')).held).toEqual(['a', 'top'])
  expect(target.log).toHaveLength(2)
})

test('what fails by chance is tried again, and counts once', async () => {
  const { target, push } = world({ top: [] })
  target.failures.set('top', PUSH_ATTEMPTS - 1)
  const { failed, progress } = await push('top')
  expect(failed).toEqual([])
  expect(progress.bytesDone).toBe(progress.bytesTotal)
})

test('what is not permitted is not tried again', async () => {
  const { target, push } = world({ top: [] })
  target.failures.set('top', 1)
  target.isClosed = true
  expect((await push('top')).failed).toEqual(['top'])
  expect(target.tries).toBe(1)
})

test('where something fails for good, what refers to it is not told of, the rest is', async () => {
  const { target, push } = world({ top: ['bad', 'good'], bad: [], good: [] })
  target.failures.set('bad', PUSH_ATTEMPTS)
  const { failed } = await push('top')
  expect(failed).toEqual(['bad', 'top'])
  expect([...target.there]).toEqual(['good'])
  expect((await push('top')).failed).toEqual([])
  expect([...target.there].sort()).toEqual(['bad', 'good', 'top'])
  expect(target.log.filter((it) => it === 'upload good')).toHaveLength(1)
})

test('what is not held here is told, unless it is there', async () => {
  const { target, push } = world({ top: ['elsewhere'] })
  expect((await push('top')).failed).toEqual(['elsewhere', 'top'])
  target.there.add('elsewhere')
  expect((await push('top')).failed).toEqual([])
})

test('a long chain of references does not stop for want of room', async () => {
  const graph = Object.fromEntries(
    Array.from({ length: 100 }, (_, i) => [`p${i}`, i === 0 ? [] : [`p${i - 1}`]]),
  )
  const { target, push } = world(graph)
  expect((await push('p99')).failed).toEqual([])
  expect(target.uploadingMax).toBeLessThanOrEqual(UPLOADS_AT_ONCE)
  expect(target.uploadingMax).toBeGreaterThan(1)
})

test('a circle is told, and not waited for', async () => {
  const { target, push } = world({ a: ['b'], b: ['a'] })
  await expect(push('a')).rejects.toThrow('refers to itself')
  expect(target.log).toEqual([])
})
