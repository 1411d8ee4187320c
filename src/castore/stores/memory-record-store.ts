import { blake3 } from '../../foundation/blake3.ts'
import { compareBytes, equalBytes } from '../../foundation/bytes.ts'
import type { Call } from '../../foundation/call.ts'
import { CastoreError } from '../castore-error.ts'
import type { Compacted, HeldRecord, RecordKeeper, SegmentUsage } from '../record-keeper.ts'
import {
  isContentAddressed,
  type PackedRecord,
  RECORD_KINDS,
  type RecordKind,
  type RecordName,
  type RecordTotals,
  type StoredRecord,
} from '../record-store.ts'
import { Condemnation } from './condemnation.ts'

/** Records in memory: the twin of the segment store for tests and simulations. */
export class MemoryRecordStore implements RecordKeeper {
  readonly #condemnation = new Condemnation()
  readonly #records = new Map<RecordKind, Map<string, Uint8Array>>(
    Object.keys(RECORD_KINDS).map((kind) => [kind as RecordKind, new Map()]),
  )

  async sizes(
    kind: RecordKind,
    keys: readonly Uint8Array[],
    call: Call,
  ): Promise<(number | undefined)[]> {
    call.signal.throwIfAborted()
    this.#condemnation.touch(kind, keys)
    return keys.map((key) => this.#of(kind).get(hexOf(key))?.length)
  }

  async get(
    kind: RecordKind,
    keys: readonly Uint8Array[],
    call: Call,
  ): Promise<(Uint8Array | undefined)[]> {
    this.#condemnation.touch(kind, keys)
    return await this.peek(kind, keys, call)
  }

  async peek(
    kind: RecordKind,
    keys: readonly Uint8Array[],
    call: Call,
  ): Promise<(Uint8Array | undefined)[]> {
    call.signal.throwIfAborted()
    return keys.map((key) => {
      const bytes = this.#of(kind).get(hexOf(key))
      if (bytes !== undefined && isContentAddressed(kind) && !equalBytes(blake3(bytes), key)) {
        const fault = { where: `memory, ${kind} ${hexOf(key)}`, record: { kind, key } }
        const what = 'a record is not what was put'
        throw new CastoreError({ code: 'record-corrupt', ...fault }, what)
      }
      return bytes
    })
  }

  async getPacked(
    kind: RecordKind,
    keys: readonly Uint8Array[],
    call: Call,
  ): Promise<(PackedRecord | undefined)[]> {
    const found = await this.get(kind, keys, call)
    return found.map((bytes) => bytes && { packing: 'raw', bytes, size: bytes.length })
  }

  async remove(names: readonly RecordName[], call: Call): Promise<void> {
    call.signal.throwIfAborted()
    for (const { kind, key } of names) this.#of(kind).delete(hexOf(key))
  }

  async put(kind: RecordKind, records: readonly StoredRecord[], call: Call): Promise<void> {
    call.signal.throwIfAborted()
    this.#condemnation.touch(
      kind,
      records.map(({ key }) => key),
    )
    const held = this.#of(kind)
    for (const { key, bytes } of records) {
      const name = hexOf(key)
      if (isContentAddressed(kind) && held.has(name)) continue
      held.set(name, Uint8Array.from(bytes)) // the caller may use its buffer again
    }
  }

  async sync(call: Call): Promise<void> {
    call.signal.throwIfAborted()
  }

  async *keys(kind: RecordKind, call: Call): AsyncGenerator<Uint8Array> {
    const keys = [...this.#of(kind).keys()].map((name) => Buffer.from(name, 'hex'))
    for (const key of keys.sort(compareBytes)) {
      call.signal.throwIfAborted()
      yield key
    }
  }

  /** All records are old: nobody notes when one came. */
  async *records(
    kind: RecordKind,
    beforeMs: number,
    call: Call,
  ): AsyncGenerator<readonly HeldRecord[]> {
    for await (const key of this.keys(kind, call)) {
      const size = this.#of(kind).get(hexOf(key))?.length
      if (size === undefined || beforeMs < 0) continue
      yield [{ key, size, storedBytes: size, writtenMs: 0 }]
    }
  }

  watch(): void {
    this.#condemnation.watch()
  }

  condemn(names: readonly RecordName[]): void {
    this.#condemnation.condemn(names)
  }

  isCondemned(name: RecordName): boolean {
    return this.#condemnation.has(name)
  }

  condemned(): number {
    return this.#condemnation.size
  }

  pardonAll(): void {
    this.#condemnation.pardonAll()
  }

  async removeCondemned(call: Call): Promise<void> {
    await this.remove(this.#condemnation.take(Infinity), call)
  }

  /** Memory has no segments to give back. */
  async segments(): Promise<SegmentUsage[]> {
    return []
  }

  async compact(): Promise<Compacted> {
    return { movedBytes: 0, freedBytes: 0 }
  }

  async diskBytes(): Promise<number> {
    return 0
  }

  totals(kind: RecordKind): RecordTotals {
    const held = [...this.#of(kind).values()]
    const bytes = held.reduce((sum, it) => sum + it.length, 0)
    return { records: held.length, bytes, storedBytes: bytes }
  }

  #of(kind: RecordKind): Map<string, Uint8Array> {
    return this.#records.get(kind)!
  }
}

function hexOf(key: Uint8Array): string {
  return Buffer.from(key).toString('hex')
}
