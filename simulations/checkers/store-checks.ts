import { decodeBlobLayout } from '../../src/castore/blob-layout-codec.ts'
import type { RecordKeeper } from '../../src/castore/record-keeper.ts'
import {
  isContentAddressed,
  RECORD_KINDS,
  type RecordKind,
} from '../../src/castore/record-store.ts'
import { recordCastore } from '../../src/castore/stores/record-castore.ts'
import { RECORD_HEADER_BYTES } from '../../src/castore/stores/segment-record.ts'
import { blake3 } from '../../src/foundation/blake3.ts'
import { unhurriedCall } from '../../src/foundation/call.ts'
import { measureNar } from '../../src/nar/measure-nar.ts'
import { RecordPathInfoStore } from '../../src/pathinfo/stores/record-path-info-store.ts'
import type { Acknowledged } from './acknowledged.ts'

const call = unhurriedCall()

/** The kinds of records, by their names. */
export const KINDS = Object.keys(RECORD_KINDS) as RecordKind[]

/** The kinds whose values the model knows. */
export const NAMED = ['path-info', 'share-choice'] as const

/** Sees whether all that was acknowledged is there after a crash, and nothing else that matters. */
export async function checkStore(keeper: RecordKeeper, model: Acknowledged): Promise<void> {
  await checkNames(keeper, model)
  await checkChunks(keeper, model)
  await checkRecords(keeper, model)
  await checkBlobs(keeper, model)
  await checkPaths(keeper, model)
}

/** What is kept, kind by kind: its names. */
export async function namesOf(keeper: RecordKeeper): Promise<Map<RecordKind, string[]>> {
  const names = new Map<RecordKind, string[]>()
  for (const kind of KINDS) {
    const keys: string[] = []
    for await (const key of keeper.keys(kind, call)) keys.push(Buffer.from(key).toString('hex'))
    names.set(kind, keys)
  }
  return names
}

async function checkNames(keeper: RecordKeeper, model: Acknowledged): Promise<void> {
  for (const kind of NAMED) {
    for (const key of model.keys(kind)) {
      const [bytes] = await keeper.get(kind, [key], call)
      model.found(kind, key, bytes === undefined ? undefined : Buffer.from(bytes), true)
    }
  }
}

async function checkChunks(keeper: RecordKeeper, model: Acknowledged): Promise<void> {
  for (const { key, bytes } of model.chunks) {
    const [held] = await keeper.get('chunk', [key], call)
    if (held !== undefined && bytes.equals(held)) continue
    model.violated(`a chunk of ${bytes.length} bytes that was acknowledged does not read back`)
  }
}

/** Every record reads, is what its key says, and is counted. */
async function checkRecords(keeper: RecordKeeper, model: Acknowledged): Promise<void> {
  for (const kind of KINDS) {
    const counted = { records: 0, bytes: 0, storedBytes: 0 }
    for await (const records of keeper.records(kind, Number.POSITIVE_INFINITY, call)) {
      for (const { key, size, storedBytes } of records) {
        counted.records++
        counted.bytes += size
        counted.storedBytes += storedBytes - RECORD_HEADER_BYTES
        const [bytes] = await keeper.peek(kind, [key], call)
        if (bytes?.length !== size) model.violated(`a ${kind} has not the size that is said`)
        else if (isContentAddressed(kind) && !Buffer.from(blake3(bytes)).equals(key)) {
          model.violated(`a ${kind} is not what its key says`)
        }
      }
    }
    const totals = keeper.totals(kind)
    const isRight =
      totals.records === counted.records &&
      totals.bytes === counted.bytes &&
      totals.storedBytes === counted.storedBytes
    if (!isRight) {
      const words = `${JSON.stringify(totals)}, not ${JSON.stringify(counted)}`
      model.violated(`the totals of ${kind} are ${words}`)
    }
  }
}

/** Each chunk is there that a chunk list names. */
async function checkBlobs(keeper: RecordKeeper, model: Acknowledged): Promise<void> {
  for await (const key of keeper.keys('layout', call)) {
    const [encoded] = await keeper.peek('layout', [key], call)
    const chunks = encoded === undefined ? [] : decodeBlobLayout(encoded)
    const keys = chunks.map(({ digest }) => digest.bytes)
    const held = await keeper.peek('chunk', keys, call)
    if (held.includes(undefined)) model.violated('a blob is there without one of its chunks')
  }
}

/** The content of each path that is there is whole. */
async function checkPaths(keeper: RecordKeeper, model: Acknowledged): Promise<void> {
  const castore = recordCastore({ records: keeper })
  for await (const pathInfo of new RecordPathInfoStore({ records: keeper }).list(call)) {
    const { storePath, node, narSize, narSha256 } = pathInfo
    try {
      const measure = await measureNar(node, castore, call)
      if (measure.narSize === narSize && Buffer.from(measure.narSha256).equals(narSha256)) continue
      model.violated(`${storePath.name} is not what its PathInfo says`)
    } catch (error) {
      model.violated(`${storePath.name} is there without its content: ${error}`)
    }
  }
}
