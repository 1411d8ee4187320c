import { expect, test } from 'vitest'
import { MemoryRecordStore } from '../../src/castore/stores/memory-record-store.ts'
import { recordCastore } from '../../src/castore/stores/record-castore.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { DebugInfoIndex } from '../../src/gateway/debug-info-index.ts'
import { ingestNar } from '../../src/nar/ingest-nar.ts'
import { NamedDocumentStore } from '../../src/pathinfo/named-document-store.ts'
import type { StoreEvent } from '../../src/pathinfo/path-info-store.ts'
import { RecordPathInfoStore } from '../../src/pathinfo/stores/record-path-info-store.ts'
import { until } from '../fixtures/await-peers.ts'
import { ownClaim, pathInfoOf } from '../fixtures/claims.ts'
import { call } from '../fixtures/content.ts'
import { directory, file, inPieces, narOf } from '../nar/trees.ts'

/** Tells its watchers that they have missed something, whatever it was. */
class ForgetfulPathInfoStore extends RecordPathInfoStore {
  override async *changes(): AsyncGenerator<StoreEvent> {
    yield { type: 'missed' }
  }
}

test('after missed events, all that is held is looked through', async () => {
  const records = new MemoryRecordStore()
  const castore = recordCastore({ records })
  const pathInfos = new ForgetfulPathInfoStore({ records })
  const documents = new NamedDocumentStore({ records, castore })
  const links = directory({ [`${'0'.repeat(38)}.debug`]: file('debug info') })
  const debug = directory({ '.build-id': directory({ ab: links }) })
  const nar = narOf(directory({ lib: directory({ debug }) }))
  const { node } = await ingestNar(inPieces(nar, [1000]), castore, call)
  const broken = pathInfoOf('broken', { node: pathInfoOf('x').node })
  await pathInfos.put([ownClaim(broken), ownClaim(pathInfoOf('debug', { node }))], call)

  const index = new DebugInfoIndex({ castore, documents, pathInfos, log: silentLog })
  await index.start()
  const buildId = `ab${'0'.repeat(38)}`
  await until(async () => (await documents.open('debuginfo', buildId, call)) !== undefined)
  await index.stop()
  expect((await documents.open('debuginfo', buildId, call))?.size).toBeGreaterThan(50)
})
