import { expect, test } from 'vitest'
import { MemoryRecordStore } from '../../../src/castore/stores/memory-record-store.ts'
import { recordCastore } from '../../../src/castore/stores/record-castore.ts'
import { SegmentRecordStore } from '../../../src/castore/stores/segment-record-store.ts'
import { silentLog } from '../../../src/foundation/log.ts'
import {
  BACKLOG_EVENTS_MAX,
  RecordPathInfoStore,
} from '../../../src/pathinfo/stores/record-path-info-store.ts'
import {
  localPathInfoStoreContract,
  pathInfoStoreContract,
} from '../../contracts/path-info-store-contract.ts'
import { ownClaim, pathInfoOf, pathNamed } from '../../fixtures/claims.ts'
import { call } from '../../fixtures/content.ts'
import { temporaryDirectory } from '../../fixtures/temporary-directory.ts'

const inMemory = async () => {
  const records = new MemoryRecordStore()
  return { records, [Symbol.asyncDispose]: async () => undefined }
}

const inSegments = async () => {
  const directory = await temporaryDirectory()
  const records = await SegmentRecordStore.open({ directory: directory.path, log: silentLog })
  return {
    records,
    [Symbol.asyncDispose]: async () => {
      await records.close()
      await directory[Symbol.asyncDispose]()
    },
  }
}

for (const [label, open] of [
  ['records in memory', inMemory],
  ['records in segments', inSegments],
] as const) {
  pathInfoStoreContract(label, async () => {
    const opened = await open()
    const pathInfos = new RecordPathInfoStore(opened)
    return { ...opened, pathInfos, castore: recordCastore(opened) }
  })
  localPathInfoStoreContract(label, async () => {
    const opened = await open()
    const store = new RecordPathInfoStore(opened)
    return Object.assign(store, { [Symbol.asyncDispose]: opened[Symbol.asyncDispose] })
  })
}

test('a put is on stable storage, with the signatures it had', async () => {
  await using directory = await temporaryDirectory()
  const open = () => SegmentRecordStore.open({ directory: directory.path, log: silentLog })
  const signature = { name: 'a-1', data: new Uint8Array(64).fill(7) }
  {
    await using records = await open()
    const pathInfo = pathInfoOf('kept', { rootSignatures: [signature] })
    await new RecordPathInfoStore({ records }).put([ownClaim(pathInfo)], call)
  }
  await using records = await open()
  const held = await new RecordPathInfoStore({ records }).get(pathNamed('kept').hash, call)
  expect(held?.rootSignatures.map(({ name }) => name)).toEqual(['a-1'])
})

test('a reader that does not keep up is told once that it missed something', async () => {
  const store = new RecordPathInfoStore({ records: new MemoryRecordStore() })
  const changes = store.changes(call)
  const claim = ownClaim(pathInfoOf('often'))
  await store.put(new Array(BACKLOG_EVENTS_MAX + 10).fill(claim), call)
  let missed = 0
  let told = 0
  for await (const { type } of changes) {
    told++
    if (type !== 'missed') continue
    missed++
    void store.put([claim], call)
    if (told > BACKLOG_EVENTS_MAX) break
  }
  expect(told).toBe(BACKLOG_EVENTS_MAX + 1)
  expect(missed).toBe(1)
})
