import { expect, test } from 'vitest'
import type { RecordKeeper } from '../../src/castore/record-keeper.ts'
import { blake3 } from '../../src/foundation/blake3.ts'
import { call, collect, noise } from '../fixtures/content.ts'

/** What every store of records that can be kept in order keeps to, beside what all of them do. */
export function recordKeeperContract(
  label: string,
  make: () => Promise<RecordKeeper & AsyncDisposable>,
): void {
  const chunk = (seed: number, size = 1000) => {
    const bytes = noise(size, seed)
    return { key: blake3(bytes), bytes }
  }
  const nameOf = ({ key }: { key: Uint8Array }) => ({ kind: 'chunk', key }) as const

  test(`${label}: what is removed is absent, counted no more, and can be put again`, async () => {
    await using store = await make()
    const [kept, gone] = [chunk(1), chunk(2)]
    await store.put('chunk', [kept, gone], call)
    await store.put('path-info', [{ key: noise(20), bytes: noise(9) }], call)
    const names = [nameOf(gone), nameOf(chunk(3)), { kind: 'path-info', key: noise(20) } as const]
    await store.remove(names, call)
    expect(await store.get('chunk', [gone.key], call)).toEqual([undefined])
    expect(await store.getPacked('chunk', [gone.key], call)).toEqual([undefined])
    expect(await store.sizes('chunk', [kept.key, gone.key], call)).toEqual([1000, undefined])
    expect(store.totals('chunk')).toMatchObject({ records: 1, bytes: 1000 })
    expect(await collect(store.keys('path-info', call))).toEqual([])
    await store.sync(call)
    expect(await collect(store.keys('chunk', call))).toHaveLength(1)
    await store.put('chunk', [gone], call)
    const [again] = await store.get('chunk', [gone.key], call)
    expect(gone.bytes.equals(again!)).toBe(true)
  })

  test(`${label}: what is condemned goes, unless somebody asks for it or puts it`, async () => {
    await using store = await make()
    const chunks = Array.from({ length: 8 }, (_, i) => chunk(i))
    await store.put('chunk', chunks, call)
    store.watch()
    await store.sizes('chunk', [chunks[0]!.key], call) // even before it is condemned
    store.condemn(chunks.map(nameOf))
    expect(store.condemned()).toBe(7)
    await store.get('chunk', [chunks[1]!.key], call)
    await store.sizes('chunk', [chunks[2]!.key], call)
    await store.put('chunk', [chunks[3]!], call)
    await store.getPacked('chunk', [chunks[4]!.key], call)
    expect(await store.peek('chunk', [chunks[5]!.key], call)).not.toEqual([undefined])
    expect(store.condemned()).toBe(3)
    await store.removeCondemned(call)
    store.pardonAll()
    const sizes = await store.sizes(
      'chunk',
      chunks.map(({ key }) => key),
      call,
    )
    expect(sizes.map((size) => size !== undefined)).toEqual([
      ...[true, true, true, true, true],
      ...[false, false, false],
    ])
  })

  test(`${label}: the end of a collection pardons all`, async () => {
    await using store = await make()
    await store.put('chunk', [chunk(1)], call)
    store.watch()
    store.condemn([nameOf(chunk(1))])
    store.pardonAll()
    await store.removeCondemned(call)
    expect(store.totals('chunk').records).toBe(1)
    expect(store.condemned()).toBe(0)
  })

  test(`${label}: all records of a kind are gone through, and only those`, async () => {
    await using store = await make()
    const chunks = Array.from({ length: 20 }, (_, i) => chunk(i, 100 + i))
    await store.put('chunk', chunks, call)
    await store.put('layout', [{ key: noise(32), bytes: noise(9) }], call)
    const found = (await collect(store.records('chunk', Infinity, call))).flat()
    expect(found.map(({ size }) => size).sort()).toEqual(chunks.map(({ bytes }) => bytes.length))
    const keys = found.map(({ key }) => Buffer.from(key))
    expect(keys).toEqual([...keys].sort(Buffer.compare))
  })
}
