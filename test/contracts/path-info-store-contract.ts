import { expect, test } from 'vitest'
import type { Castore } from '../../src/castore/castore.ts'
import { FileNode } from '../../src/castore/model/node.ts'
import { measureNar } from '../../src/nar/measure-nar.ts'
import type { PathInfo, PathInfoFields } from '../../src/pathinfo/path-info.ts'
import type {
  LocalPathInfoStore,
  PathInfoStore,
  StoreEvent,
} from '../../src/pathinfo/path-info-store.ts'
import { contentIdentity } from '../../src/pathinfo/root-fingerprint.ts'
import { ownClaim, pathInfoOf, pathNamed } from '../fixtures/claims.ts'
import { call, collect } from '../fixtures/content.ts'

const NAMES = ['one', 'two', 'three', 'four']

const SIGNATURE = { name: 'nobody-1', data: new Uint8Array(64).fill(7) }

/** A store for one scenario, and where the content of what is put into it is kept. */
export interface MadePathInfoStore extends AsyncDisposable {
  readonly pathInfos: PathInfoStore
  readonly castore: Castore
}

/** What is truly said of a path by that name, whose content is put into the castore. */
export async function heldPathInfo(
  castore: Castore,
  name: string,
  content = `content of ${name}`,
  fields: Partial<PathInfoFields> = {},
): Promise<PathInfo> {
  const bytes = Buffer.from(content)
  const [digest] = await castore.blobs.putSmall([bytes], call)
  const node = new FileNode(digest!, bytes.length, false)
  return pathInfoOf(name, { node, ...(await measureNar(node, castore, call)), ...fields })
}

/**
 * What every PathInfo store keeps to. Each scenario gets a fresh store. `rootSignatures` says
 * whether it keeps signatures over the castore root, for which the messages of tvix have no field.
 */
export function pathInfoStoreContract(
  label: string,
  make: () => Promise<MadePathInfoStore>,
  init: { readonly rootSignatures: boolean } = { rootSignatures: true },
): void {
  const put = async ({ pathInfos, castore }: MadePathInfoStore, names: string[]): Promise<void> => {
    const claims = names.map(async (name) => ownClaim(await heldPathInfo(castore, name)))
    await pathInfos.put(await Promise.all(claims), call)
  }

  test(`${label}: a path that was never put is undefined`, async () => {
    await using made = await make()
    expect(await made.pathInfos.get(pathNamed('one').hash, call)).toBeUndefined()
    expect(await collect(made.pathInfos.list(call))).toEqual([])
  })

  test(`${label}: what was put is read back, by the hash part alone`, async () => {
    await using made = await make()
    await put(made, NAMES)
    for (const name of NAMES) {
      const held = await made.pathInfos.get(pathNamed(name).hash, call)
      expect(contentIdentity(held!)).toBe(contentIdentity(await heldPathInfo(made.castore, name)))
      expect(held?.references.map(String)).toEqual([pathNamed('glibc').toString()])
    }
  })

  test(`${label}: signatures are kept`, async () => {
    await using made = await make()
    const signed = { signatures: [SIGNATURE], rootSignatures: [SIGNATURE] }
    const pathInfo = await heldPathInfo(made.castore, 'one', 'signed', signed)
    await made.pathInfos.put([ownClaim(pathInfo)], call)
    const held = await made.pathInfos.get(pathInfo.storePath.hash, call)
    expect(held?.signatures.map(({ name }) => name)).toEqual([SIGNATURE.name])
    expect(held?.rootSignatures).toHaveLength(init.rootSignatures ? 1 : 0)
  })

  test(`${label}: a path that is put again is there once, as it was put last`, async () => {
    await using made = await make()
    await put(made, ['one'])
    const latest = await heldPathInfo(made.castore, 'one', 'something else')
    await made.pathInfos.put([ownClaim(latest)], call)
    const held = await made.pathInfos.get(pathNamed('one').hash, call)
    expect(contentIdentity(held!)).toBe(contentIdentity(latest))
    expect(await collect(made.pathInfos.list(call))).toHaveLength(1)
  })

  test(`${label}: the list has every path, in the order of the hash parts`, async () => {
    await using made = await make()
    const names = Array.from({ length: 600 }, (_, i) => `path-${i}`)
    await put(made, names)
    const listed = (await collect(made.pathInfos.list(call))).map(({ storePath }) => storePath)
    const hashes = listed.map(({ hash }) => Buffer.from(hash).toString('hex'))
    expect(hashes).toEqual(hashes.toSorted())
    expect(listed.map(({ name }) => name).sort()).toEqual(names.sort())
  })
}

/** What a store of the node's own keeps to beside {@link pathInfoStoreContract}. */
export function localPathInfoStoreContract(
  label: string,
  make: () => Promise<LocalPathInfoStore & AsyncDisposable>,
): void {
  const put = (store: PathInfoStore, ...names: string[]): Promise<void> =>
    store.put(
      names.map((name) => ownClaim(pathInfoOf(name))),
      call,
    )
  const nameIn = (event: StoreEvent): string =>
    event.type === 'put' ? event.pathInfo.storePath.name : event.type

  test(`${label}: paths are counted, each once`, async () => {
    await using store = await make()
    expect(store.count()).toBe(0)
    await put(store, ...NAMES)
    await put(store, 'one')
    expect(store.count()).toBe(NAMES.length)
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
