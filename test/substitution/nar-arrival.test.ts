import { expect, test } from 'vitest'
import { MemoryRecordStore } from '../../src/castore/stores/memory-record-store.ts'
import { recordCastore } from '../../src/castore/stores/record-castore.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { SpoolDirectory, type SpoolStore } from '../../src/foundation/spool.ts'
import { ingestNar } from '../../src/nar/ingest-nar.ts'
import { PathInfo } from '../../src/pathinfo/path-info.ts'
import { NarArrival } from '../../src/substitution/nar-arrival.ts'
import { pathNamed } from '../fixtures/claims.ts'
import { allBytes, call, noise } from '../fixtures/content.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { outcomeOf } from '../foundation/manual-clock.ts'
import { directory, file, inPieces, narOf } from '../nar/trees.ts'

const NAR = narOf(directory({ a: file(noise(700_000, 'a')), b: file('b') }))
const OTHER = narOf(directory({ a: file(noise(700_000, 'other')), b: file('b') }))

async function world(spools?: SpoolStore) {
  const temporary = await temporaryDirectory()
  const castore = recordCastore({ records: new MemoryRecordStore() })
  const store = spools ?? (await SpoolDirectory.open(temporary.path))
  const ingested = await ingestNar(inPieces(NAR, [9_000]), castore, call)
  const pathInfo = new PathInfo({ storePath: pathNamed('path'), references: [], ...ingested })
  const arrival = new NarArrival({ spools: store, castore, log: silentLog }, pathInfo)
  return { arrival, pathInfo, [Symbol.asyncDispose]: () => temporary[Symbol.asyncDispose]() }
}

async function passed(arrival: NarArrival, bytes: Uint8Array): Promise<Buffer> {
  return await allBytes(arrival.passing(inPieces(bytes, [50_000])))
}

test('it is passed on as it comes, to any number of readers, its end once it is proven', async () => {
  await using it = await world()
  const { arrival, pathInfo } = it
  const readers = Array.from({ length: 5 }, () => allBytes(arrival.read(call)))
  const part = allBytes(arrival.read(call, { offset: 100_000, length: 50_000 }))
  expect((await passed(arrival, NAR)).equals(NAR)).toBe(true)
  expect((await part).equals(NAR.subarray(100_000, 150_000))).toBe(true)
  for (const reader of readers) expect(await outcomeOf(reader)).toBe('pending')
  await arrival.settle(pathInfo, call)
  for (const reader of readers) expect((await reader).equals(NAR)).toBe(true)
  expect((await allBytes(arrival.read(call))).equals(NAR)).toBe(true) // from the castore now
})

test('a short one begins once it is proven, stored or not', async () => {
  await using it = await world()
  const { arrival, pathInfo } = it
  const begun = arrival.begun(call)
  await passed(arrival, NAR)
  arrival.prove({ ...pathInfo, narSha256: new Uint8Array(32) })
  expect(await outcomeOf(begun)).toBe('pending')
  arrival.prove(pathInfo)
  await begun
  expect((await allBytes(arrival.read(call))).equals(NAR)).toBe(true)
})

test('one of two halves from two sources is not proven by the hash of the second', async () => {
  await using it = await world()
  const { arrival, pathInfo } = it
  await passed(arrival, OTHER.subarray(0, 300_000))
  await allBytes(arrival.read(call, { offset: 0, length: 1 }))
  await passed(arrival, NAR)
  arrival.prove(pathInfo)
  const last = arrival.read(call, { offset: NAR.length - 1, length: 1 }).next()
  expect(await outcomeOf(last)).toBe('pending')
  await arrival.settle(pathInfo, call)
  await expect(last).rejects.toThrow('was wrong')
})

test('what was wrong and given to nobody is forgotten when another source begins', async () => {
  await using it = await world()
  const { arrival, pathInfo } = it
  const begun = arrival.begun(call)
  await passed(arrival, OTHER)
  expect(await outcomeOf(begun)).toBe('pending')
  await passed(arrival, NAR)
  arrival.prove(pathInfo)
  await begun
  expect((await allBytes(arrival.read(call))).equals(NAR)).toBe(true)
  await arrival.settle(pathInfo, call)
})

test('a reader is given all but the end of what has come', async () => {
  await using it = await world()
  const { arrival } = it
  await passed(arrival, NAR)
  let bytes = 0
  for await (const piece of arrival.read(call, { offset: 0, length: NAR.length - 1 })) {
    bytes += piece.length
  }
  expect(bytes).toBe(NAR.length - 1)
  const last = arrival.read(call, { offset: NAR.length - 1, length: 1 }).next()
  expect(await outcomeOf(last)).toBe('pending')
  arrival.fail(new Error('the hash is another'))
  await expect(last).rejects.toThrow('the hash is another')
})

test('another source goes on where one broke off', async () => {
  await using it = await world()
  const { arrival, pathInfo } = it
  const reader = allBytes(arrival.read(call))
  await passed(arrival, NAR.subarray(0, 300_000))
  await passed(arrival, NAR)
  await arrival.settle(pathInfo, call)
  expect((await reader).equals(NAR)).toBe(true)
})

test('what came from elsewhere in the end is passed on from there', async () => {
  await using it = await world()
  const { arrival, pathInfo } = it
  const reader = allBytes(arrival.read(call))
  await passed(arrival, NAR.subarray(0, 300_000))
  await arrival.settle(pathInfo, call) // a neighbour had it
  expect((await reader).equals(NAR)).toBe(true)
})

test('where the first was wrong its readers are told, whatever the second brings', async () => {
  await using it = await world()
  const { arrival, pathInfo } = it
  const reader = allBytes(arrival.read(call))
  reader.catch(() => undefined)
  await passed(arrival, OTHER)
  await passed(arrival, NAR)
  await arrival.settle(pathInfo, call)
  await expect(reader).rejects.toThrow('was wrong')
})

test('a path with another NAR than was told of is not passed on', async () => {
  await using it = await world()
  const { arrival, pathInfo } = it
  const reader = allBytes(arrival.read(call))
  reader.catch(() => undefined)
  await passed(arrival, NAR)
  await arrival.settle(new PathInfo({ ...pathInfo, narSha256: new Uint8Array(32) }), call)
  await expect(reader).rejects.toThrow('was wrong')
})

test('who leaves stops nobody else', async () => {
  await using it = await world()
  const { arrival, pathInfo } = it
  const leaving = new AbortController()
  const left = allBytes(arrival.read(leaving))
  left.catch(() => undefined)
  const reader = allBytes(arrival.read(call))
  await passed(arrival, NAR)
  leaving.abort(new Error('gone'))
  await expect(left).rejects.toThrow('gone')
  await arrival.settle(pathInfo, call)
  expect((await reader).equals(NAR)).toBe(true)
})

test('where the spool fills up, the rest is read once it is here', async () => {
  await using directory = await temporaryDirectory()
  const spools = await SpoolDirectory.open(directory.path)
  const small: SpoolStore = {
    open: async () => {
      const spool = await spools.open()
      let room = 300_000
      return {
        append: async (bytes) => {
          room -= bytes.length
          if (room < 0) throw new Error('no space left')
          await spool.append(bytes)
        },
        read: (offset, length) => spool.read(offset, length),
        [Symbol.asyncDispose]: () => spool[Symbol.asyncDispose](),
      }
    },
  }
  await using it = await world(small)
  const { arrival, pathInfo } = it
  const reader = allBytes(arrival.read(call))
  expect((await passed(arrival, NAR)).equals(NAR)).toBe(true)
  await arrival.settle(pathInfo, call)
  expect((await reader).equals(NAR)).toBe(true)
})

test('without room for a spool it comes all the same, and is read once it is here', async () => {
  const full: SpoolStore = {
    open: async () => {
      throw new Error('no space left')
    },
  }
  await using it = await world(full)
  const { arrival, pathInfo } = it
  const reader = allBytes(arrival.read(call))
  expect((await passed(arrival, NAR)).equals(NAR)).toBe(true)
  await arrival.settle(pathInfo, call)
  expect((await reader).equals(NAR)).toBe(true)
})
