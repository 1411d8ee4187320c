import { describe, expect, test } from 'vitest'
import { MemoryRecordStore } from '../../src/castore/stores/memory-record-store.ts'
import { recordCastore } from '../../src/castore/stores/record-castore.ts'
import { utf8Bytes } from '../../src/foundation/bytes.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { systemClock } from '../../src/foundation/system-clock.ts'
import { ingestNar } from '../../src/nar/ingest-nar.ts'
import { NixError } from '../../src/nix/nix-error.ts'
import { PathInfo } from '../../src/pathinfo/path-info.ts'
import { Signer } from '../../src/pathinfo/signer.ts'
import { RecordPathInfoStore } from '../../src/pathinfo/stores/record-path-info-store.ts'
import { TrustPolicy } from '../../src/pathinfo/trust-policy.ts'
import { PathContents } from '../../src/substitution/path-contents.ts'
import type { Offer, PathSource } from '../../src/substitution/path-source.ts'
import { Substituter } from '../../src/substitution/substituter.ts'
import { SubstitutingCastore } from '../../src/substitution/substituting-castore.ts'
import { SubstitutionError } from '../../src/substitution/substitution-error.ts'
import { KEYS, pathNamed } from '../fixtures/claims.ts'
import { allBytes, call, collect, noise } from '../fixtures/content.ts'
import { Neighbour } from '../fixtures/neighbour.ts'
import { watched } from '../fixtures/watched.ts'
import { directory, file, inPieces, narOf, symlink, type Tree } from '../nar/trees.ts'

const PATH = pathNamed('wanted').toString()
const LARGE = noise(2_000_000, 'large')

const TREE: Tree = directory({
  bin: directory({
    hello: file('hello', true),
    absolute: symlink(`${PATH}/share/doc`),
    relative: symlink('../share/./doc'),
    up: symlink('../../elsewhere'),
    else: symlink(`${PATH}x/y`),
    gone: symlink('nothing'),
    home: symlink(PATH),
    loop: symlink('pool'),
    pool: symlink('loop'),
  }),
  large: file(LARGE),
  lib: symlink('share'),
  share: directory({ doc: file('doc') }),
})

/** A node that holds nothing, beside one that holds the path, signed in one of two ways. */
async function world(tree: Tree = TREE, signed: 'root' | 'nix' | 'nobody' = 'root') {
  const records = new MemoryRecordStore()
  const castore = recordCastore({ records })
  const far = new Neighbour()
  const ingested = await ingestNar(inPieces(narOf(tree), [1 << 20]), far.castore, call)
  const plain = new PathInfo({ storePath: pathNamed('wanted'), references: [], ...ingested })
  const { signatures, rootSignatures } = new Signer({ key: KEYS.a }).sign(plain)
  const pathInfo = plain.withSignatures(
    signed === 'nix' ? signatures : [],
    signed === 'root' ? rootSignatures : [],
  )
  let fetches = 0
  const offer: Offer = {
    kind: 'content',
    claim: { pathInfo, origin: 'stranger' },
    fetch: async (into) => {
      fetches++
      await ingestNar(inPieces(narOf(tree), [1 << 20]), into, call)
    },
    turnDown: () => undefined,
  }
  const source: PathSource = {
    name: 'neighbour',
    priority: 0,
    async *find(hash) {
      if (Buffer.compare(hash, plain.storePath.hash) === 0) yield offer
    },
  }
  const pathInfos = new RecordPathInfoStore({ records })
  const trust = new TrustPolicy({}, { trustedKeys: [KEYS.a.publicKey()] })
  const ports = { clock: systemClock, log: silentLog }
  const substituter = new Substituter({
    castore,
    pathInfos,
    trust,
    sources: watched(source),
    ...ports,
  })
  const { contents } = new SubstitutingCastore({ near: castore, far, ...ports })
  const paths = new PathContents({ substituter, contents })
  const open = (inside: string) => paths.open(utf8Bytes(`${PATH}${inside}`), call)
  const read = async (inside: string) => String(await allBytes((await open(inside)).read(0, call)))
  const list = async (inside: string, isRecursive = false) =>
    (await collect(paths.list(utf8Bytes(`${PATH}${inside}`), { isRecursive }, call))).map(
      ({ path, node }) => `${node.type} ${Buffer.from(path)}`,
    )
  return { paths, open, read, list, far, pathInfos, records, fetches: () => fetches }
}

/** The code of the fault that some work ends with. */
async function faultOf(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => 'none',
    (error: unknown) => (error instanceof SubstitutionError ? error.fault.code : error),
  )
}

test('a part of a file comes without the rest of the path', async () => {
  const { open, far, fetches, pathInfos, records } = await world()
  const reader = await open('/large')
  const part = await allBytes(reader.read(1_000_000, call, 50))
  expect(part.equals(LARGE.subarray(1_000_000, 1_000_050))).toBe(true)
  expect(far.opened).toEqual([expect.objectContaining({ size: LARGE.length })])
  expect([far.bytesRead, far.wholes.length, fetches()]).toEqual([50, 0, 0])
  expect(pathInfos.count()).toBe(0)
  expect(records.totals('chunk').records).toBe(0)
})

test('a path that is signed the Nix way alone is fetched and checked first', async () => {
  const { read, far, fetches, pathInfos } = await world(TREE, 'nix')
  expect(await read('/share/doc')).toBe('doc')
  expect([fetches(), pathInfos.count(), far.asked]).toEqual([1, 1, 0])
})

test('symlinks are followed within the store path', async () => {
  const { read } = await world()
  for (const inside of [
    ...['/share/doc', '/lib/doc', '/bin/absolute', '/bin/relative', '/bin/../share/doc'],
    ...['//share/./doc/', '/bin/home/lib/doc', '/bin/home/bin/relative'],
  ]) {
    expect(await read(inside), inside).toBe('doc')
  }
})

describe('what can not be read is said to be', () => {
  test.each([
    ['/nothing', 'name-absent'],
    ['/bin/gone', 'name-absent'],
    ['/bin/hello/x', 'no-directory'],
    ['/bin', 'no-file'],
    ['', 'no-file'],
    ['/bin/home', 'no-file'],
    ['/bin/up', 'leads-outside'],
    ['/bin/else', 'leads-outside'],
    ['/..', 'leads-outside'],
    ['/../wanted/share/doc', 'leads-outside'],
    ['/bin/loop', 'link-loop'],
    ['/bin/loop/x', 'link-loop'],
  ])('%s: %s', async (inside, code) => {
    expect(await faultOf((await world()).open(inside))).toBe(code)
  })

  test('a path that nobody has, or nobody trusted has signed, or of another name', async () => {
    const { paths } = await world()
    const absent = utf8Bytes(pathNamed('absent').toString())
    expect(await faultOf(paths.open(absent, call))).toBe('path-absent')
    const { open } = await world(TREE, 'nobody')
    expect(await faultOf(open('/share/doc'))).toBe('path-absent')
    const renamed = utf8Bytes(`${PATH}-other/share/doc`)
    expect(await faultOf(paths.open(renamed, call))).toBe('path-absent')
  })

  test('what is no path in the store', async () => {
    const { paths } = await world()
    for (const text of ['', '/', '/etc/passwd', '/nix/store', '/nix/store/x/y', `${PATH}é/x`]) {
      await expect(paths.open(utf8Bytes(text), call), text).rejects.toThrow(NixError)
    }
    const bytes = Buffer.concat([Buffer.from(PATH), Buffer.from([0xff])])
    await expect(paths.open(bytes, call)).rejects.toThrow(NixError)
  })

  test('content that its neighbour does not have', async () => {
    const lost = await world()
    lost.far.fetchBlob = async () => false
    lost.far.openBlob = async () => undefined
    expect(await faultOf(lost.open('/large'))).toBe('content-missing')
    lost.far.fetchDirectories = async () => false
    const lostToo = await world()
    lostToo.far.fetchDirectories = async () => false
    expect(await faultOf(lostToo.open('/share/doc'))).toBe('content-missing')
    expect(await faultOf(lostToo.list('', true))).toBe('content-missing')
  })
})

test('a store path that is a file or a symlink is told, and read where it is a file', async () => {
  const single = await world(file('one file'))
  expect(await single.read('')).toBe('one file')
  expect(await single.list('')).toEqual(['file '])
  expect(await faultOf(single.open('/x'))).toBe('no-directory')
  const link = await world(symlink('/nix/store/elsewhere'))
  expect(await link.list('')).toEqual(['symlink '])
  expect(await faultOf(link.open(''))).toBe('leads-outside')
  expect(await faultOf(link.list('/x'))).toBe('leads-outside')
})

test('a directory is listed, or all below it, and no file comes for that', async () => {
  const { list, far } = await world()
  const top = ['directory bin', 'file large', 'symlink lib', 'directory share']
  expect(await list('')).toEqual(top)
  expect(await list('/share')).toEqual(['file doc'])
  expect(await list('/lib')).toEqual(['symlink '])
  expect(await list('/lib/doc')).toEqual(['file '])
  expect(await list('/bin/hello')).toEqual(['file '])
  const all = await list('', true)
  expect(all).toContain('symlink bin/absolute')
  expect(all).toContain('file share/doc')
  expect(all.map((it) => it.replace(/^\w+ /, ''))).toEqual(
    all.map((it) => it.replace(/^\w+ /, '')).toSorted(),
  )
  expect(all).toHaveLength(14)
  expect([far.wholes.length, far.opened.length]).toEqual([0, 0])
})

test('names are bytes', async () => {
  const name = Buffer.from([0x61, 0xff, 0x0a])
  const tree: Tree = { type: 'directory', entries: [[name, file('odd')]] }
  const { paths } = await world(tree)
  const path = Buffer.concat([Buffer.from(`${PATH}/`), name])
  expect(String(await allBytes((await paths.open(path, call)).read(0, call)))).toBe('odd')
  const [listed] = await collect(paths.list(utf8Bytes(PATH), { isRecursive: false }, call))
  expect(Buffer.from(listed!.path).equals(name)).toBe(true)
})
