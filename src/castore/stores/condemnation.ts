import { DigestSet } from '../digest-set.ts'
import { isCollected, type RecordKind, type RecordName } from '../record-store.ts'
import { RecordNames } from './record-names.ts'

/** What a collection means to remove, and who has kept it from that since it began. */
export class Condemnation {
  readonly #condemned = new RecordNames()
  /** What was asked for or put since the collection began that is under way, if one is. */
  #touched: DigestSet | undefined

  /** How many are condemned and not pardoned. */
  get size(): number {
    return this.#condemned.size
  }

  has({ kind, key }: RecordName): boolean {
    return this.#condemned.has(kind, key)
  }

  /** From now on what is touched can not be condemned. */
  watch(): void {
    this.#touched = new DigestSet()
  }

  condemn(names: readonly RecordName[]): void {
    for (const name of names) {
      if (this.#touched?.has(name.key) !== true) this.#condemned.add(name)
    }
  }

  /** Somebody relies on these, if they are there. */
  touch(kind: RecordKind, keys: readonly Uint8Array[]): void {
    if (this.#touched === undefined || !isCollected(kind)) return
    this.#condemned.delete(kind, keys)
    for (const key of keys) this.#touched.add(key)
  }

  /** Takes up to so many out, to be removed. */
  take(max: number): RecordName[] {
    return this.#condemned.take(max)
  }

  pardonAll(): void {
    this.#condemned.clear()
    this.#touched = undefined
  }
}
