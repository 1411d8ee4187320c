import { expect, test } from 'vitest'
import type { RecordStore } from '../../src/castore/record-store.ts'
import { blake3 } from '../../src/foundation/blake3.ts'
import { call, collect, noise } from '../fixtures/content.ts'

/** What every store of records keeps to. Each scenario gets a fresh store. */
export function recordStoreContract(
  label: string,
  make: () => Promise<RecordStore & AsyncDisposable>,
): void {
  const chunk = (seed: number, size = 1000) => {
    const bytes = noise(size, seed)
    return { key: blake3(bytes), bytes }
  }

  test(`${label}: what was never put is absent`, async () => {
    await using store = await make()
    expect(await store.get('chunk', [blake3(noise(3))], call)).toEqual([undefined])
    expect(await store.sizes('layout', [noise(32)], call)).toEqual([undefined])
    expect(await collect(store.keys('path-info', call))).toEqual([])
    expect(store.totals('chunk')).toMatchObject({ records: 0, bytes: 0 })
  })

  test(`${label}: what was put is read at once, in the order asked, absences between`, async () => {
    await using store = await make()
    const records = [chunk(1), chunk(2, 0), chunk(3, 300_000), chunk(4, 40)]
    await store.put('chunk', records, call)
    const [a, b, c, d] = records
    const absent = blake3(noise(99, 'absent'))
    const keys = [d!.key, absent, a!.key, c!.key, b!.key, a!.key]
    const read = await store.get('chunk', keys, call)
    const expected = [d!.bytes, undefined, a!.bytes, c!.bytes, b!.bytes, a!.bytes]
    for (const [i, bytes] of expected.entries()) {
      expect(read[i] === undefined ? undefined : Buffer.from(read[i])).toEqual(bytes)
    }
    expect(await store.sizes('chunk', keys, call)).toEqual([40, undefined, 1000, 300_000, 0, 1000])
  })

  test(`${label}: content-addressed records are stored once, also within one put`, async () => {
    await using store = await make()
    await store.put('chunk', [chunk(1), chunk(1)], call)
    await Promise.all([
      store.put('chunk', [chunk(1), chunk(2)], call),
      store.put('chunk', [chunk(2)], call),
    ])
    await store.sync(call)
    await store.put('chunk', [chunk(2)], call)
    expect(store.totals('chunk')).toMatchObject({ records: 2, bytes: 2000 })
  })

  test(`${label}: a named record can be put anew, the latest counts`, async () => {
    await using store = await make()
    const key = noise(20, 'name')
    await store.put('path-info', [{ key, bytes: noise(10, 'old') }], call)
    await store.put('path-info', [{ key, bytes: noise(30, 'new') }], call)
    await store.sync(call)
    await store.put('path-info', [{ key, bytes: noise(20, 'newest') }], call)
    const [bytes] = await store.get('path-info', [key], call)
    expect(Buffer.from(bytes!)).toEqual(noise(20, 'newest'))
    expect(store.totals('path-info')).toMatchObject({ records: 1, bytes: 20 })
  })

  test(`${label}: kinds do not see each other's keys`, async () => {
    await using store = await make()
    await store.put('layout', [{ key: noise(32, 1), bytes: noise(5) }], call)
    expect(await store.get('uploaded-nar', [noise(32, 1)], call)).toEqual([undefined])
  })

  test(`${label}: keys come in the order of their bytes, synced or not`, async () => {
    await using store = await make()
    const keys = [3, 1, 2].map((n) => Buffer.alloc(20, n))
    await store.put(
      'path-info',
      keys.slice(0, 2).map((key) => ({ key, bytes: key })),
      call,
    )
    await store.sync(call)
    await store.put(
      'path-info',
      keys.slice(2).map((key) => ({ key, bytes: key })),
      call,
    )
    const listed = await collect(store.keys('path-info', call))
    expect(listed.map((key) => key[0])).toEqual([1, 2, 3])
  })

  test(`${label}: an aborted call throws its reason`, async () => {
    await using store = await make()
    const reason = new Error('no longer wanted')
    const aborted = { signal: AbortSignal.abort(reason) }
    await expect(store.get('chunk', [], aborted)).rejects.toBe(reason)
    await expect(store.put('chunk', [], aborted)).rejects.toBe(reason)
  })

  test(`${label}: many puts and syncs at once all count`, async () => {
    await using store = await make()
    const records = Array.from({ length: 200 }, (_, i) => chunk(i, 100 + i))
    await Promise.all(
      records.map(async (record, i) => {
        await store.put('chunk', [record], call)
        if (i % 7 === 0) await store.sync(call)
      }),
    )
    const read = await store.get(
      'chunk',
      records.map((record) => record.key),
      call,
    )
    expect(read.every((bytes, i) => records[i]!.bytes.equals(bytes!))).toBe(true)
    expect(store.totals('chunk').records).toBe(200)
  })
}
