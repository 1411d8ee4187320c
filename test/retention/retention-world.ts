import type { Castore } from '../../src/castore/castore.ts'
import { Leases } from '../../src/castore/leases.ts'
import { recordCastore } from '../../src/castore/stores/record-castore.ts'
import { SegmentRecordStore } from '../../src/castore/stores/segment-record-store.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { ingestNar } from '../../src/nar/ingest-nar.ts'
import { measureNar } from '../../src/nar/measure-nar.ts'
import { NamedDocumentStore } from '../../src/pathinfo/named-document-store.ts'
import { RecordPathInfoStore } from '../../src/pathinfo/stores/record-path-info-store.ts'
import { UploadedNarStore } from '../../src/pathinfo/uploaded-nar-store.ts'
import { PathUses } from '../../src/retention/path-uses.ts'
import { Pins } from '../../src/retention/pins.ts'
import { ownClaim, pathInfoOf, pathNamed } from '../fixtures/claims.ts'
import { call } from '../fixtures/content.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { type ManualClock, manualClock } from '../foundation/manual-clock.ts'
import { inPieces, narOf, type Tree } from '../nar/trees.ts'

/** A store with all that a collection works with, on a clock of its own. */
export async function retentionWorld() {
  const directory = await temporaryDirectory()
  const clock: ManualClock = manualClock()
  await clock.pass(Date.now())
  const records = await SegmentRecordStore.open({ directory: directory.path, log: silentLog })
  const castore = recordCastore({ records })
  const pathInfos = new RecordPathInfoStore({ records })
  const leases = new Leases()
  const components = {
    keeper: records,
    pathInfos,
    uploads: new UploadedNarStore({ records }),
    documents: new NamedDocumentStore({ records, castore }),
    uses: new PathUses({ records, pathInfos, clock, log: silentLog }),
    pins: new Pins({ records, pathInfos, clock }),
    leases,
    clock,
    log: silentLog,
  }
  /** Takes a path in, as used just now. */
  const put = async (name: string, tree: Tree, references: readonly string[] = []) => {
    const ingested = await ingestNar(inPieces(narOf(tree), [100_000]), castore, call)
    const pathInfo = pathInfoOf(name, { ...ingested, references: references.map(pathNamed) })
    await pathInfos.put([ownClaim(pathInfo)], call)
    components.uses.used(pathInfo.storePath.hash)
    return pathInfo
  }
  /** Whether a path is held, and all of its content. */
  const isWhole = async (name: string): Promise<boolean> => {
    const pathInfo = await pathInfos.get(pathNamed(name).hash, call)
    if (pathInfo === undefined) return false
    const { narSize } = await measureNar(pathInfo.node, castore as Castore, call)
    return narSize === pathInfo.narSize
  }
  const dispose = async (): Promise<void> => {
    await records.close()
    await directory[Symbol.asyncDispose]()
  }
  return { ...components, castore, put, isWhole, [Symbol.asyncDispose]: dispose }
}
