import { expect, test } from 'vitest'
import { MemoryRecordStore } from '../../src/castore/stores/memory-record-store.ts'
import { MIRROR_GATHER_MS, MIRROR_RETRY_MS, Mirror } from '../../src/daemon/mirror.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { systemRandom } from '../../src/foundation/system-random.ts'
import { Signer } from '../../src/pathinfo/signer.ts'
import { RecordPathInfoStore } from '../../src/pathinfo/stores/record-path-info-store.ts'
import type { OpenPushTarget, PushTargets } from '../../src/rpc/push-calls.ts'
import { until } from '../fixtures/await-peers.ts'
import { KEYS, ownClaim, pathInfoOf } from '../fixtures/claims.ts'
import { call } from '../fixtures/content.ts'
import { manualClock, settled } from '../foundation/manual-clock.ts'

/** A cache that may be away. */
class Cache implements PushTargets {
  isAway = false
  asked = 0
  readonly there = new Set<string>()

  async open(): Promise<OpenPushTarget> {
    this.asked++
    if (this.isAway) throw new Error('nobody answers')
    return {
      name: 'cache',
      isFinal: () => false,
      holds: async (paths) => paths.map(({ name }) => this.there.has(name)),
      upload:
        async ({ storePath }) =>
        async () =>
          void this.there.add(storePath.name),
      [Symbol.asyncDispose]: async () => undefined,
    }
  }
}

function world() {
  const pathInfos = new RecordPathInfoStore({ records: new MemoryRecordStore() })
  const [clock, cache] = [manualClock(), new Cache()]
  const ports = { clock, random: systemRandom, log: silentLog }
  const init = { to: 'cache', compression: 'zstd', keyName: KEYS.a.name }
  const start = async () => {
    const mirror = new Mirror({ pathInfos, targets: cache, ...ports }, init)
    await mirror.start()
    await settled()
    return mirror
  }
  const put = async (name: string, key = KEYS.a) => {
    await pathInfos.put(
      [ownClaim(new Signer({ key }).sign(pathInfoOf(name, { references: [] })))],
      call,
    )
    await settled()
  }
  return { clock, cache, start, put }
}

test('what the node signed before goes there at the start, what it signs later as it comes', async () => {
  const { clock, cache, start, put } = world()
  await put('before')
  await put('of-another', KEYS.b)
  const mirror = await start()
  await until(() => cache.there.has('before'))
  await put('of-another-later', KEYS.b)
  await put('later')
  await until(async () => {
    await clock.pass(MIRROR_GATHER_MS)
    return cache.there.has('later')
  })
  expect([...cache.there]).toEqual(['before', 'later'])
  await mirror.stop()
})

test('what can not go now goes once the cache is back', async () => {
  const { clock, cache, start, put } = world()
  cache.isAway = true
  await put('signed')
  const mirror = await start()
  await until(() => cache.asked > 0)
  cache.isAway = false
  await until(async () => {
    await clock.pass(MIRROR_RETRY_MS)
    return cache.there.has('signed')
  })
  await mirror.stop()
})
