import { expect, test } from 'vitest'
import { SymlinkNode } from '../../src/castore/model/node.ts'
import { silentLog } from '../../src/foundation/log.ts'
import type { Offer, PathSource, RootOffer } from '../../src/substitution/path-source.ts'
import { BENCH_MAX_MS, BENCH_MS, SourceWatch } from '../../src/substitution/source-watch.ts'
import { call } from '../fixtures/content.ts'
import { manualClock, settled } from '../foundation/manual-clock.ts'

const HASH = new Uint8Array(20)

/** A source that is up or down. */
class Fickle implements PathSource {
  readonly name = 'fickle'
  readonly priority = 40
  isUp = true
  probes = 0

  // biome-ignore lint/correctness/useYield: it has nothing
  async *find(): AsyncGenerator<Offer> {
    if (!this.isUp) throw new Error('it is down')
  }

  async findRoot(): Promise<RootOffer> {
    return { fetch: async () => undefined }
  }

  async probe(): Promise<void> {
    this.probes++
    if (!this.isUp) throw new Error('it is still down')
  }
}

function world() {
  const clock = manualClock()
  const source = new Fickle()
  const watch = new SourceWatch({ source, clock, log: silentLog })
  const ask = async (): Promise<void> => {
    await watch.find(HASH, call).next()
  }
  return { clock, source, watch, ask }
}

test('what it takes to answer is known once it has', async () => {
  const { watch, ask } = world()
  expect(watch.report).toMatchObject({ state: 'unproven', latencyMs: undefined, asked: 0 })
  await ask()
  expect(watch.report).toMatchObject({ state: 'ready', latencyMs: 0, asked: 1, hits: 0 })
})

test('one that failed is left alone until a probe finds it back', async () => {
  const { clock, source, watch, ask } = world()
  source.isUp = false
  await expect(ask()).rejects.toThrow('it is down')
  expect(watch.view.isBenched).toBe(true)
  expect(watch.report.lastFault?.what).toBe('it is down')
  await clock.pass(BENCH_MS)
  expect(source.probes).toBe(1)
  expect(watch.report.lastFault?.what).toBe('it is still down')
  source.isUp = true
  await clock.pass(2 * BENCH_MS)
  expect(watch.view.isBenched).toBe(false)
  expect(watch.report.state).toBe('ready')
  await watch.stop()
})

test('the longer it is gone, the more seldom it is tried, but never for more than a minute', async () => {
  const { clock, source, watch, ask } = world()
  source.isUp = false
  await expect(ask()).rejects.toThrow()
  for (let i = 0; i < 10; i++) await clock.pass(BENCH_MAX_MS)
  expect(source.probes).toBe(10)
  await clock.pass(BENCH_MAX_MS - 1)
  expect(source.probes).toBe(10)
  await clock.pass(1)
  expect(source.probes).toBe(11)
  await watch.stop()
})

test('at the start it is found out in the background whether it is there', async () => {
  const { source, watch } = world()
  source.isUp = false
  await watch.start()
  await settled()
  expect(watch.view.isBenched).toBe(true)
  await watch.stop()
})

test('one that is left alone is asked for no roots either', async () => {
  const { source, watch, ask } = world()
  const root = new SymlinkNode(Buffer.from('x'))
  expect(await watch.findRoot(root, 1, call)).toBeDefined()
  source.isUp = false
  await expect(ask()).rejects.toThrow('it is down')
  expect(await watch.findRoot(root, 1, call)).toBeUndefined()
})
