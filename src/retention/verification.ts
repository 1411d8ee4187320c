import { decodeBlobLayout } from '../castore/blob-layout-codec.ts'
import type { Castore } from '../castore/castore.ts'
import { isRotten } from '../castore/castore-error.ts'
import { Directory } from '../castore/model/directory.ts'
import type { RecordKeeper } from '../castore/record-keeper.ts'
import { RECORD_KINDS, type RecordKind } from '../castore/record-store.ts'
import { OutboardBuilder } from '../castore/verified/outboard-builder.ts'
import { equalBytes } from '../foundation/bytes.ts'
import type { Call } from '../foundation/call.ts'
import { Digest } from '../foundation/digest.ts'
import type { Log } from '../foundation/log.ts'
import { measureNar } from '../nar/measure-nar.ts'
import { encodeNixBase32 } from '../nix/nix-base32.ts'
import type { LocalPathInfoStore } from '../pathinfo/path-info-store.ts'
import type { ContentSource } from '../substitution/content-source.ts'

/** How many records are read at once. */
const BATCH_RECORDS = 256

/** How many records are read at once of those that may be long. */
const BATCH_CHUNKS = 8

/** What a verification looks at, in this order. */
export type VerifyPhase = 'records' | 'blobs' | 'directories' | 'paths'

/** How far a verification has got. */
export interface VerifyStep {
  readonly phase: VerifyPhase
  readonly done: number
  readonly total: number
  /** Content bytes that were read and checked so far. */
  readonly bytes: number
  /** Something that is not as it should be, found just now. */
  readonly fault?: {
    readonly phase: VerifyPhase
    readonly what: string
    readonly isMended: boolean
  }
}

/** What a verification works with. */
export interface VerificationComponents {
  readonly keeper: RecordKeeper
  readonly castore: Castore
  readonly pathInfos: LocalPathInfoStore
  /** Where content is fetched anew. */
  readonly far: ContentSource
  readonly log: Log
}

/**
 * Checks all that is kept: each record against its digest or checksum, each blob of several chunks
 * and each Directory for being whole, each path against the hash of its NAR. To repair, what is
 * rotten is removed and fetched anew; a path that can not be made whole is let go of.
 */
export class Verification {
  readonly #components: VerificationComponents
  readonly #isRepair: boolean
  #bytes = 0
  #done = 0

  constructor(components: VerificationComponents, init: { readonly isRepair: boolean }) {
    this.#components = components
    this.#isRepair = init.isRepair
  }

  async *run(call: Call): AsyncGenerator<VerifyStep> {
    yield* this.#records(call)
    yield* this.#blobs(call)
    yield* this.#directories(call)
    yield* this.#paths(call)
  }

  async *#records(call: Call): AsyncGenerator<VerifyStep> {
    const { keeper } = this.#components
    const kinds = Object.keys(RECORD_KINDS) as RecordKind[]
    const total = kinds.reduce((sum, kind) => sum + keeper.totals(kind).records, 0)
    const step = this.#steps('records', total)
    for (const kind of kinds) {
      const max = kind === 'chunk' || kind === 'outboard' ? BATCH_CHUNKS : BATCH_RECORDS
      for await (const keys of inBatches(keeper.keys(kind, call), max)) {
        const rotten = await this.#rottenAmong(kind, keys, call)
        this.#done += keys.length
        yield step()
        for (const key of rotten) {
          const isMended = this.#isRepair && (await this.#renew(kind, key, call))
          yield step(`${nameOf(kind, key)} is rotten`, isMended)
        }
      }
    }
  }

  async #rottenAmong(
    kind: RecordKind,
    keys: readonly Uint8Array[],
    call: Call,
  ): Promise<Uint8Array[]> {
    const { keeper } = this.#components
    try {
      const records = await keeper.peek(kind, keys, call)
      this.#bytes += records.reduce((sum, bytes) => sum + (bytes?.length ?? 0), 0)
      return []
    } catch (error) {
      if (!isRotten(error)) throw error
      if (keys.length === 1) return [...keys]
      const found: Uint8Array[] = []
      for (const key of keys) found.push(...(await this.#rottenAmong(kind, [key], call)))
      return found
    }
  }

  /** Removes a rotten record and gets its like from elsewhere; says whether it is there again. */
  async #renew(kind: RecordKind, key: Uint8Array, call: Call): Promise<boolean> {
    const { keeper, castore, far } = this.#components
    await keeper.remove([{ kind, key }], call)
    if (kind === 'chunk' || kind === 'layout') {
      return await far.fetchBlob({ digest: Digest.of(key) }, castore, call)
    }
    if (kind === 'directory') return await far.fetchDirectories(Digest.of(key), castore, call)
    return kind === 'outboard' // it is made anew when somebody asks for it
  }

  async *#blobs(call: Call): AsyncGenerator<VerifyStep> {
    const { keeper } = this.#components
    const step = this.#steps('blobs', keeper.totals('layout').records)
    for await (const key of keeper.keys('layout', call)) {
      const what = await this.#flawOfBlob(key, call)
      this.#done++
      if (what === undefined) yield step()
      else {
        const isMended = this.#isRepair && (await this.#mendBlob(key, call))
        yield step(`${nameOf('layout', key)} ${what}`, isMended)
      }
    }
  }

  async #flawOfBlob(key: Uint8Array, call: Call): Promise<string | undefined> {
    const { keeper, castore } = this.#components
    const [encoded] = await peeked(keeper, 'layout', key, call)
    if (encoded === undefined) return 'can not be read'
    const builder = new OutboardBuilder()
    for (const { digest, size } of decodeBlobLayout(encoded)) {
      const [bytes] = await peeked(keeper, 'chunk', digest.bytes, call)
      if (bytes?.length !== size) return `lacks chunk ${digest}`
      builder.push(bytes)
      this.#bytes += size
    }
    const { digest, outboard } = builder.finish()
    if (!equalBytes(digest.bytes, key)) return 'is put together of other chunks than it should be'
    const kept = await castore.blobs.outboard(digest, call)
    return kept === undefined || equalBytes(kept.bytes, outboard)
      ? undefined
      : 'has a false outboard'
  }

  async #mendBlob(key: Uint8Array, call: Call): Promise<boolean> {
    const { keeper, castore, far } = this.#components
    const names = [
      { kind: 'layout', key },
      { kind: 'outboard', key },
    ] as const
    await keeper.remove(names, call)
    return await far.fetchBlob({ digest: Digest.of(key) }, castore, call)
  }

  async *#directories(call: Call): AsyncGenerator<VerifyStep> {
    const { keeper, castore, far } = this.#components
    const step = this.#steps('directories', keeper.totals('directory').records)
    for await (const keys of inBatches(keeper.keys('directory', call), BATCH_RECORDS)) {
      for (const key of keys) {
        const missing = await this.#missingBelow(key, call)
        this.#done++
        for (const { kind, digest } of missing) {
          const fetching =
            kind === 'directory'
              ? (): Promise<boolean> => far.fetchDirectories(digest, castore, call)
              : (): Promise<boolean> => far.fetchBlob({ digest }, castore, call)
          const isMended = this.#isRepair && (await fetching())
          yield step(`${nameOf('directory', key)} lacks ${kind} ${digest}`, isMended)
        }
      }
      yield step()
    }
  }

  async #missingBelow(
    key: Uint8Array,
    call: Call,
  ): Promise<{ kind: 'directory' | 'blob'; digest: Digest }[]> {
    const { keeper, castore } = this.#components
    const [encoded] = await peeked(keeper, 'directory', key, call)
    if (encoded === undefined) return [] // told of already
    const { entries } = Directory.decode(encoded)
    const below = (type: 'directory' | 'file'): Digest[] =>
      entries.flatMap(({ node }) => (node.type === type ? [node.digest] : []))
    const [directories, blobs] = [below('directory'), below('file')]
    const sizes = await keeper.sizes(
      'directory',
      directories.map(({ bytes }) => bytes),
      call,
    )
    const layouts = await castore.blobs.layouts(blobs, call)
    return [
      ...directories.flatMap((digest, i) =>
        sizes[i] === undefined ? [{ kind: 'directory' as const, digest }] : [],
      ),
      ...blobs.flatMap((digest, i) =>
        layouts[i] === undefined ? [{ kind: 'blob' as const, digest }] : [],
      ),
    ]
  }

  async *#paths(call: Call): AsyncGenerator<VerifyStep> {
    const { pathInfos, log } = this.#components
    const step = this.#steps('paths', pathInfos.count())
    for await (const hash of pathInfos.hashes(call)) {
      const what = await this.#flawOfPath(hash, call)
      this.#done++
      if (what === undefined) {
        yield step()
        continue
      }
      if (this.#isRepair) {
        await pathInfos.remove([hash], call)
        log.warn('a path was let go of', { hash: encodeNixBase32(hash), why: what })
      }
      yield step(what, false)
    }
  }

  async #flawOfPath(hash: Uint8Array, call: Call): Promise<string | undefined> {
    const { pathInfos, castore } = this.#components
    try {
      const pathInfo = await pathInfos.get(hash, call)
      if (pathInfo === undefined) return undefined // it has gone meanwhile
      const { storePath, node, narSize, narSha256 } = pathInfo
      const measured = await measureNar(node, castore, call).catch((error: unknown) => {
        call.signal.throwIfAborted()
        return error instanceof Error ? error.message : String(error)
      })
      if (typeof measured === 'string') return `${storePath} is not whole: ${measured}`
      this.#bytes += narSize
      const isRight = measured.narSize === narSize && equalBytes(measured.narSha256, narSha256)
      return isRight ? undefined : `${storePath} does not have the NAR hash that is said of it`
    } catch (error) {
      if (!isRotten(error)) throw error
      return `what is said of the path ${encodeNixBase32(hash)} can not be read`
    }
  }

  #steps(phase: VerifyPhase, total: number): (what?: string, isMended?: boolean) => VerifyStep {
    this.#done = 0
    return (what, isMended = false) => {
      const progress = { phase, done: this.#done, total, bytes: this.#bytes }
      return what === undefined ? progress : { ...progress, fault: { phase, what, isMended } }
    }
  }
}

/** What is stored under a key; nothing where it can not be read. */
async function peeked(
  keeper: RecordKeeper,
  kind: RecordKind,
  key: Uint8Array,
  call: Call,
): Promise<(Uint8Array | undefined)[]> {
  try {
    return await keeper.peek(kind, [key], call)
  } catch (error) {
    if (!isRotten(error)) throw error
    return [undefined]
  }
}

async function* inBatches(
  keys: AsyncIterable<Uint8Array>,
  max: number,
): AsyncGenerator<Uint8Array[]> {
  let batch: Uint8Array[] = []
  for await (const key of keys) {
    batch.push(key)
    if (batch.length < max) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

function nameOf(kind: RecordKind, key: Uint8Array): string {
  const words = kind === 'layout' ? 'blob' : kind
  return key.length === 32 ? `${words} ${Digest.of(key)}` : `${words} ${encodeNixBase32(key)}`
}
