import type { RecordKind, RecordName } from '../record-store.ts'

/** A set of records by their names; quick to ask when it is empty, as it mostly is. */
export class RecordNames {
  readonly #byKind = new Map<RecordKind, Map<string, Uint8Array>>()

  get size(): number {
    return [...this.#byKind.values()].reduce((sum, keys) => sum + keys.size, 0)
  }

  add({ kind, key }: RecordName): void {
    const keys = this.#byKind.get(kind) ?? new Map<string, Uint8Array>()
    this.#byKind.set(kind, keys)
    keys.set(nameOf(key), key)
  }

  has(kind: RecordKind, key: Uint8Array): boolean {
    const keys = this.#byKind.get(kind)
    return keys?.has(nameOf(key)) === true
  }

  delete(kind: RecordKind, keys: readonly Uint8Array[]): void {
    const held = this.#byKind.get(kind)
    if (held === undefined) return
    for (const key of keys) held.delete(nameOf(key))
    if (held.size === 0) this.#byKind.delete(kind)
  }

  /** Takes up to so many out. */
  take(max: number): RecordName[] {
    const taken: RecordName[] = []
    for (const [kind, keys] of this.#byKind) {
      for (const key of keys.values()) {
        if (taken.length === max) return taken
        taken.push({ kind, key })
        keys.delete(nameOf(key))
      }
      this.#byKind.delete(kind)
    }
    return taken
  }

  clear(): void {
    this.#byKind.clear()
  }
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
}
