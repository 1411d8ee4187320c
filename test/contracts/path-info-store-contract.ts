import { expect, test } from 'vitest'
import type { PathInfoStore, StoreEvent } from '../../src/pathinfo/path-info-store.ts'
import { ownClaim, pathInfoOf, pathNamed } from '../fixtures/claims.ts'
import { call, collect } from '../fixtures/content.ts'

const NAMES = ['one', 'two', 'three', 'four']

/** What every PathInfo store keeps to. Each scenario gets a fresh store. */
export function pathInfoStoreContract(
  label: string,
  make: () => Promise<PathInfoStore & AsyncDisposable>,
): void {
  const put = (store: PathInfoStore, ...names: string[]): Promise<void> =>
    store.put(
      names.map((name) => ownClaim(pathInfoOf(name))),
      call,
    )
  const nameIn = (event: StoreEvent): string =>
    event.type === 'put' ? event.pathInfo.storePath.name : event.type

  test(`${label}: a path that was never put is undefined`, async () => {
    await using store = await make()
    expect(await store.get(pathNamed('one').hash, call)).toBeUndefined()
    expect(await collect(store.list(call))).toEqual([])
    expect(store.count()).toBe(0)
  })

  test(`${label}: what was put is read back, by the hash part alone`, async () => {
    await using store = await make()
    await put(store, ...NAMES)
    for (const name of NAMES) {
      const held = await store.get(pathNamed(name).hash, call)
      expect(held?.storePath.name).toBe(name)
      expect(held?.references.map(String)).toEqual([pathNamed('glibc').toString()])
    }
    expect(store.count()).toBe(NAMES.length)
  })

  test(`${label}: a path that is put again is there once, as it was put last`, async () => {
    await using store = await make()
    await put(store, 'one')
    await store.put([ownClaim(pathInfoOf('one', { narSize: 999 }))], call)
    expect((await store.get(pathNamed('one').hash, call))?.narSize).toBe(999)
    expect(store.count()).toBe(1)
  })

  test(`${label}: the list has every path, in the order of the hash parts`, async () => {
    await using store = await make()
    const names = Array.from({ length: 600 }, (_, i) => `path-${i}`)
    await put(store, ...names)
    const listed = (await collect(store.list(call))).map(({ storePath }) => storePath)
    const hashes = listed.map(({ hash }) => Buffer.from(hash).toString('hex'))
    expect(hashes).toEqual(hashes.toSorted())
    expect(listed.map(({ name }) => name).sort()).toEqual(names.sort())
  })

  test(`${label}: changes are told from the call on, to everybody, in order`, async () => {
    await using store = await make()
    await put(store, 'one')
    const leave = new AbortController()
    const readers = [0, 1].map(() => store.changes({ signal: leave.signal }))
    await put(store, 'two', 'three')
    const told = await Promise.all(
      readers.map(async (changes) => {
        const names: string[] = []
        for await (const event of changes) {
          names.push(nameIn(event))
          if (names.length === 2) void put(store, 'four')
          if (names.length >= 4) break
        }
        return names
      }),
    )
    for (const names of told) expect(names.slice(0, 3)).toEqual(['two', 'three', 'four'])
  })

  test(`${label}: what is told can be read at once`, async () => {
    await using store = await make()
    const changes = store.changes(call)
    await put(store, 'one')
    for await (const event of changes) {
      if (event.type !== 'put') continue
      expect(await store.get(event.pathInfo.storePath.hash, call)).toBeDefined()
      break
    }
  })

  test(`${label}: following ends with its signal's reason`, async () => {
    await using store = await make()
    const leave = new AbortController()
    const reason = new Error('reader left')
    const following = collect(store.changes({ signal: leave.signal }))
    leave.abort(reason)
    await expect(following).rejects.toBe(reason)
    await put(store, 'one')
  })
}
