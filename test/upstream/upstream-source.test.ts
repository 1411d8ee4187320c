import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { SymlinkNode } from '../../src/castore/model/node.ts'
import { encodeUrlRoot } from '../../src/castore/model/root-url.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { type NarInfo, renderNarInfo } from '../../src/nix/nar-info.ts'
import { FetchProgress } from '../../src/substitution/fetch-progress.ts'
import type { NarOffer } from '../../src/substitution/path-source.ts'
import { BinaryCache } from '../../src/upstream/binary-cache.ts'
import { busy } from '../../src/upstream/cache-error.ts'
import {
  NAR_INFO_MS,
  NAR_INFOS_BYTES_MAX,
  UPSTREAM_MISS_MS,
  UpstreamSource,
  type UpstreamSourceInit,
  WRONG_MS,
} from '../../src/upstream/upstream-source.ts'
import { faultOf } from '../contracts/cache-files-contract.ts'
import { KEYS, pathNamed } from '../fixtures/claims.ts'
import { allBytes, call, collect, noise } from '../fixtures/content.ts'
import { manualClock } from '../foundation/manual-clock.ts'
import { memoryFiles } from './memory-files.ts'

const PATH = pathNamed('hello')
const NAR = noise(1_000)
const NAME = `${PATH.hashText}.narinfo`

const ROOT = new SymlinkNode(Buffer.from('/nix/store/elsewhere'))

const INFO: NarInfo = {
  storePath: PATH,
  url: 'nar/hello.nar',
  compression: 'none',
  narSha256: createHash('sha256').update(NAR).digest(),
  narSize: NAR.length,
  references: [pathNamed('glibc')],
  signatures: [],
}

function made(init: UpstreamSourceInit = {}) {
  const clock = manualClock()
  const files = memoryFiles()
  const cache = new BinaryCache({ files })
  const source = new UpstreamSource({ cache, clock, log: silentLog }, init)
  const put = (): void => {
    files.files.set(NAME, Buffer.from(renderNarInfo(INFO)))
    files.files.set(INFO.url, NAR)
  }
  const find = (): Promise<NarOffer[]> => collect(source.find(PATH.hash, call))
  return { clock, files, source, put, find }
}

function narOf(offer: NarOffer): Promise<Buffer> {
  return allBytes(offer.nar(new FetchProgress(), call))
}

test('a path is offered with what the cache says of it, and its NAR', async () => {
  const keys = [KEYS.a.publicKey()]
  const { source, put, find, files } = made({ keys, priority: 3 })
  put()
  const [offer, ...others] = await find()
  expect(others).toEqual([])
  expect(offer?.facts.storePath.equals(PATH)).toBe(true)
  expect(offer?.facts.references.map(String)).toEqual([String(pathNamed('glibc'))])
  expect(offer?.keys).toEqual(keys)
  expect(Buffer.compare(await narOf(offer!), NAR)).toBe(0)
  expect(source).toMatchObject({ name: 'memory', priority: 3 })
  await find()
  expect(files.asked).toEqual([NAME, INFO.url]) // the narinfo was kept
})

test('narinfos are asked for again after a while', async () => {
  const { clock, put, find, files } = made()
  put()
  await find()
  await clock.pass(NAR_INFO_MS)
  await find()
  expect(files.asked).toEqual([NAME, NAME])
})

test('what is absent is remembered for a while', async () => {
  const { clock, put, find, files } = made()
  expect(await find()).toEqual([])
  put()
  expect(await find()).toEqual([])
  expect(files.asked).toHaveLength(1)
  await clock.pass(UPSTREAM_MISS_MS - 1)
  expect(await find()).toEqual([])
  await clock.pass(1)
  expect(await find()).toHaveLength(1)
})

test('a wrong NAR is a fault, and the path is left alone for a while', async () => {
  const { clock, source, put, find } = made()
  put()
  const [offer] = await find()
  offer!.turnDown('nar-mismatch')
  expect(source.faults).toMatchObject({ count: 1, last: { what: 'a NAR was not the signed one' } })
  expect(await find()).toEqual([])
  await clock.pass(WRONG_MS)
  expect(await find()).toHaveLength(1)
})

test('the root that a narinfo names goes with the offer', async () => {
  for (const query of ['', `?narsize=${NAR.length}`, `?narsize=${NAR.length}&path=x`]) {
    const { files, find } = made()
    const url = `nar/snix-castore/${encodeUrlRoot(ROOT)}${query}`
    files.files.set(NAME, Buffer.from(renderNarInfo({ ...INFO, url })))
    files.files.set(url, NAR)
    const [offer] = await find()
    expect(offer?.root).toEqual(ROOT)
    expect(Buffer.compare(await narOf(offer!), NAR)).toBe(0)
  }
})

test.each([
  INFO.url,
  'nar/snix-castore/AAAA',
  `nar/snix-castore/${encodeUrlRoot(ROOT)}?narsize=999`,
  `nar/snix-castore/${encodeUrlRoot(ROOT)}?narsize=x`,
  `nar/other-castore/${encodeUrlRoot(ROOT)}`,
])('the URL %s names no root that could be the path’s, and is no fault', async (url) => {
  const { source, files, find } = made()
  files.files.set(NAME, Buffer.from(renderNarInfo({ ...INFO, url })))
  const [offer] = await find()
  expect(offer).toBeDefined()
  expect(offer!.root).toBeUndefined()
  expect(source.faults.count).toBe(0)
})

test('a false root is a fault, and not offered again for a while, though the NAR is', async () => {
  const { clock, source, files, find } = made()
  const url = `nar/tvix-castore/${encodeUrlRoot(ROOT)}`
  files.files.set(NAME, Buffer.from(renderNarInfo({ ...INFO, url })))
  const roots = async () => (await find()).map(({ root }) => root)
  const [offer] = await find()
  offer!.turnDown('false-root')
  const what = 'a castore root was not that of the signed NAR'
  expect(source.faults).toMatchObject({ count: 1, last: { what } })
  expect(await roots()).toEqual([undefined])
  await clock.pass(WRONG_MS)
  expect(await roots()).toEqual([ROOT])
})

test('that nobody trusts what is said is no fault of the cache', async () => {
  const { source, put, find } = made()
  put()
  const [offer] = await find()
  offer!.turnDown('untrusted')
  expect(source.faults.count).toBe(0)
  expect(await find()).toHaveLength(1)
})

test('a NAR that is gone, or can not be read, is a fault', async () => {
  const { clock, source, put, find, files } = made()
  put()
  files.files.delete(INFO.url)
  const [offer] = await find()
  expect(await faultOf(narOf(offer!))).toBe('nar-absent')
  expect(await find()).toEqual([])
  await clock.pass(WRONG_MS)
  files.files.set(INFO.url, NAR.subarray(1))
  const [again] = await find()
  expect(await faultOf(narOf(again!))).toBe('cut-off')
  expect(source.faults.count).toBe(1)
})

test('a narinfo that can not be read is a fault, and no miss', async () => {
  const { source, put, find, files } = made()
  files.files.set(NAME, Buffer.from('hello'))
  expect(await faultOf(find())).toBe('wrong-content')
  expect(source.faults.count).toBe(1)
  put()
  expect(await find()).toHaveLength(1)
})

test('the cache says its priority, where nobody else does', async () => {
  const { source, files } = made()
  const before = source.priority
  expect(await faultOf(source.probe(call))).toBe('no-cache')
  files.files.set('nix-cache-info', Buffer.from('StoreDir: /nix/store\n'))
  await source.probe(call)
  expect(source.priority).toBe(before)
  files.files.set('nix-cache-info', Buffer.from('StoreDir: /nix/store\nPriority: 41\n'))
  await source.probe(call)
  expect(source.priority).toBe(41)
})

test('a busy cache is left alone for as long as it says', async () => {
  const { clock, find, put, files } = made()
  const { get } = files
  put()
  let asked = 0
  files.get = async () => {
    asked++
    throw busy('memory', 'is busy', 2_000)
  }
  expect(await faultOf(find())).toBe('busy')
  files.get = get
  await clock.pass(1_999)
  expect(await faultOf(find())).toBe('busy')
  expect(asked).toBe(1)
  await clock.pass(1)
  expect(await find()).toHaveLength(1)
})

test('NARs leave connections for narinfos, and each other', async () => {
  const { clock, put, find, files } = made({ connectionsMax: 4 })
  put()
  const [offer] = await find()
  const { get } = files
  let open = 0
  let most = 0
  const gate = Promise.withResolvers<void>()
  files.get = async (name, inner) => {
    if (name !== INFO.url) return await get(name, inner)
    most = Math.max(most, ++open)
    await gate.promise
    open--
    return await get(name, inner)
  }
  const nars = Array.from({ length: 10 }, () => narOf(offer!))
  await clock.pass(NAR_INFO_MS)
  expect(await find()).toHaveLength(1)
  expect(most).toBe(3)
  gate.resolve()
  for (const nar of await Promise.all(nars)) expect(nar.length).toBe(NAR.length)
  expect(most).toBe(3)
})

test('narinfos are kept as long as there is room, the oldest going first', async () => {
  const { source, find, files } = made()
  const url = 'x'.repeat(1_000_000)
  const long = Buffer.from(renderNarInfo({ ...INFO, url }))
  files.files.set(NAME, long)
  await find()
  const paths = Array.from({ length: 10 }, (_, i) => pathNamed(`path-${i}`))
  for (const storePath of paths) {
    const text = renderNarInfo({ ...INFO, storePath, url })
    files.files.set(`${storePath.hashText}.narinfo`, Buffer.from(text))
    await collect(source.find(storePath.hash, call))
  }
  expect(NAR_INFOS_BYTES_MAX).toBeLessThan(11 * 2 * url.length)
  files.asked.length = 0
  await collect(source.find(paths[9]!.hash, call))
  expect(files.asked).toEqual([])
  await find()
  expect(files.asked).toEqual([NAME])
})
