import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connectNode } from '../../src/daemon/client.ts'
import { type NarInfo, parseNarInfo } from '../../src/nix/nar-info.ts'
import { STREAMED_BYTES_MIN } from '../../src/substitution/nar-arrival.ts'
import { until } from '../fixtures/await-peers.ts'
import { call } from '../fixtures/content.ts'
import { type DaemonProcess, startDaemon } from '../fixtures/daemon-process.ts'
import { DEATHS, type DyingCache, dyingCache } from '../fixtures/dying-caches.ts'
import {
  buildNixClosure,
  type ClosureKey,
  compareTrees,
  type NixClosure,
  nix,
  nixMissing,
  verifyInStore,
} from '../fixtures/nix-closure.ts'
import { nixCache } from '../fixtures/shared-out-caches.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { narInfoUrl } from './machines.ts'

const skipped = nixMissing()
const why = skipped === undefined ? '' : ` (${skipped})`

/** How long an answer may take where a cache dies, in ms: its timeout is one second here. */
const ANSWER_MS_MAX = 8_000

/** Enough that the NAR is passed on while it comes. */
const LONG_BYTES = 1.25 * STREAMED_BYTES_MIN

/** Whose path is a long one. */
const OF_LONG = 'whose NAR is cut'

const stack = new AsyncDisposableStack()
let directory: string
let closure: NixClosure
let key: ClosureKey
let honest: string
let dying: DyingCache[]

beforeAll(async () => {
  if (skipped !== undefined) return
  directory = stack.use(await temporaryDirectory()).path
  const size = { paths: DEATHS.length, bigFileBytes: LONG_BYTES, smallFiles: 30 }
  closure = stack.use(await buildNixClosure(directory, size))
  key = await closure.sign('dying-1')
  honest = await nixCache(join(directory, 'honest'), closure.top, 'none')
  dying = []
  const others = closure.paths.filter((it) => it !== closure.bigPath)
  for (const death of DEATHS) {
    const storePath = death.how === OF_LONG ? closure.bigPath : others.shift()!
    dying.push(stack.use(await dyingCache(death, storePath, honest)))
  }
}, 60_000)
afterAll(() => stack.disposeAsync(), 60_000)

/** A node with caches that die, which are asked before all others. */
async function startNode(others: readonly string[]): Promise<DaemonProcess> {
  const tables = [
    ...dying.map(({ url }) => ({ url, priority: 10 })),
    ...others.map((url) => ({ url, priority: 90 })),
  ].map(
    ({ url, priority }) => `[[upstream]]\nurl = "${url}"\npriority = ${priority}\ntimeout = "1s"\n`,
  )
  const config = join(directory, `with-${others.length}.toml`)
  await writeFile(config, tables.join('\n'))
  return await startDaemon({
    args: ['--no-mdns', '--config', config, '--trusted-key', key.publicKey],
  })
}

function trusting(): string[] {
  return ['--option', 'trusted-public-keys', key.publicKey]
}

async function expectWhole(store: string): Promise<void> {
  await verifyInStore(store, ...closure.paths)
  for (const path of closure.paths) expect(compareTrees(path, join(store, path))).toEqual([])
}

describe.skipIf(skipped)(`caches that die at every stage${why}`, () => {
  test('cost Nix nothing where another cache has the paths', { timeout: 60_000 }, async () => {
    await using node = await startNode([`file://${honest}`])
    using client = connectNode(node.rpc)
    await ready(node)
    await until(async () => (await client.sources(call)).at(-1)!.state === 'ready')
    for (const path of closure.paths) await told(node, path)
    const store = join(directory, 'store')
    const from = ['--from', node.gatewayUrl, '--to', store]
    await nix('nix', ['copy', ...trusting(), ...from, closure.top])
    await expectWhole(store)
    for (const { death, asked } of dying) {
      if (death.isPromised) expect(asked(), death.how).toBeGreaterThan(0)
    }
  })

  test('never have Nix believe a long NAR that was passed on and is wrong', {
    timeout: 60_000,
  }, async () => {
    const death = DEATHS.find(({ how }) => how === 'whose NAR is another')!
    await using liar = await dyingCache(death, closure.bigPath, honest)
    const caches = ['--upstream', `${liar.url}?priority=1`, '--upstream', `file://${honest}`]
    const args = ['--no-mdns', ...caches, '--trusted-key', key.publicKey]
    await using node = await startDaemon({ args })
    await ready(node, [liar])
    await told(node, closure.bigPath)
    const store = join(directory, 'store-lied-to')
    const from = ['--from', node.gatewayUrl, '--to', store]
    const copy = ['copy', ...trusting(), ...from, closure.bigPath]
    // What Nix has of it when the lie is found out can not be taken back: it is to fail, or the
    // node has the truth from the other cache before Nix has begun.
    await nix('nix', copy).catch((error) => expect(String(error)).toMatch(/hash mismatch/))
    await nix('nix', copy)
    await verifyInStore(store, closure.bigPath)
    expect(liar.asked()).toBeGreaterThan(0)
  })

  test('alone have what is absent, at once', { timeout: 90_000 }, async () => {
    await using node = await startNode([])
    await ready(node)
    for (const { death, storePath } of dying) {
      const promise = death.isPromised ? await told(node, storePath) : undefined
      const begunMs = performance.now()
      const end = await (promise === undefined
        ? endOf(narInfoUrl(node.gatewayUrl, storePath))
        : endOf(`${node.gatewayUrl}/${promise.url}`))
      // Of a long NAR some has been passed on by then, and it must not seem to be whole.
      expect(end, death.how).toBe(death.how === OF_LONG ? 'cut off' : 404)
      expect(performance.now() - begunMs, death.how).toBeLessThan(ANSWER_MS_MAX)
    }

    // Nix hears that it is absent, and goes on to its next cache.
    const store = join(directory, 'store-beside')
    const substituters = ['--option', 'substituters', `${node.gatewayUrl} file://${honest}`]
    const realise = ['--store', store, '--realise', ...trusting(), ...substituters]
    await nix('nix-store', [...realise, closure.top])
    await expectWhole(store)
    const alone = ['copy', ...trusting(), '--from', node.gatewayUrl, '--to', `${store}-alone`]
    await expect(nix('nix', [...alone, closure.bigPath])).rejects.toThrow(
      /no substituter that can build it|does not exist in binary cache/,
    )
  })
})

/** Waits until a node has reached all caches that answer at first. */
async function ready(node: DaemonProcess, caches = dying): Promise<void> {
  const names = caches.filter(({ death }) => death.isPromised).map(({ url }) => new URL(url).host)
  using client = connectNode(node.rpc)
  await until(async () => {
    const sources = await client.sources(call)
    return names.every((host) => sources.find(({ name }) => name === host)!.state === 'ready')
  })
}

/** The narinfo of a path; on a busy machine a cache may be too late for the first question. */
async function told(node: DaemonProcess, storePath: string): Promise<NarInfo> {
  for (;;) {
    const answer = await fetch(narInfoUrl(node.gatewayUrl, storePath))
    const text = await answer.text()
    if (answer.ok) return parseNarInfo(text)
  }
}

/** The status of an answer whose body comes whole. */
async function endOf(url: string): Promise<number | 'cut off'> {
  const answer = await fetch(url)
  return await answer.arrayBuffer().then(
    () => answer.status,
    () => 'cut off',
  )
}
