import type { RecordKind } from '../../src/castore/record-store.ts'

/** A value, or undefined where there is none. */
export type Value = Buffer | undefined

interface Step {
  readonly value: Value
  /** Whether the store said that it was done. */
  readonly isDone: boolean
}

interface Entry {
  readonly kind: RecordKind
  readonly key: Buffer
  /** What may be there: the latest that is known to be durable, and what came after it. */
  steps: Step[]
}

/**
 * What a store was told, and what it said to that: by it is known what may be there after a crash.
 * Each name belongs to one client, which does one thing with it after the other.
 */
export class Acknowledged {
  readonly #entries = new Map<string, Entry>()
  readonly #chunks = new Map<string, Buffer>()
  /** What was not as it has to be, in words. */
  readonly violations: string[] = []

  /** Notes that a value was put, or removed, or that this failed: then it may have happened. */
  changed(kind: RecordKind, key: Buffer, value: Value, isDone: boolean): void {
    this.#entry(kind, key).steps.push({ value, isDone })
  }

  /** Notes that all that was done before with these names is durable. */
  settled(kind: RecordKind, keys: readonly Buffer[]): void {
    for (const key of keys) {
      const entry = this.#entry(kind, key)
      const last = entry.steps.findLastIndex(({ isDone }) => isDone)
      entry.steps = entry.steps.slice(Math.max(0, last))
    }
  }

  /** Notes that chunks are durable; nobody removes them. */
  keptChunks(chunks: readonly { readonly key: Buffer; readonly bytes: Buffer }[]): void {
    for (const { key, bytes } of chunks) this.#chunks.set(key.toString('hex'), bytes)
  }

  get chunks(): readonly { readonly key: Buffer; readonly bytes: Buffer }[] {
    return [...this.#chunks].map(([hex, bytes]) => ({ key: Buffer.from(hex, 'hex'), bytes }))
  }

  /** All names of a kind that something was ever done with. */
  keys(kind: RecordKind): Buffer[] {
    return [...this.#entries.values()].flatMap((it) => (it.kind === kind ? [it.key] : []))
  }

  /** Whether just one value can be there. */
  isCertain(kind: RecordKind, key: Buffer): boolean {
    return this.#entry(kind, key).steps.length === 1
  }

  /** The value where there is no doubt, else the latest that the store said it has. */
  latest(kind: RecordKind, key: Buffer): Value {
    return this.#entry(kind, key).steps.findLast(({ isDone }) => isDone)?.value
  }

  /** Sees whether this may be there; with `isFinal` nothing else may be from now on. */
  found(kind: RecordKind, key: Buffer, value: Value, isFinal: boolean): void {
    const entry = this.#entry(kind, key)
    if (!entry.steps.some((step) => isSame(step.value, value))) {
      const possible = entry.steps.map(({ value: it, isDone }) => `${words(it)} (${isDone})`)
      this.violated(
        `${kind} ${key.toString('hex').slice(0, 8)} is ${words(value)}, may be ${possible.join(', ')}`,
      )
    }
    if (isFinal) entry.steps = [{ value, isDone: true }]
  }

  violated(what: string): void {
    this.violations.push(what)
  }

  #entry(kind: RecordKind, key: Buffer): Entry {
    const name = `${kind} ${key.toString('hex')}`
    const known = this.#entries.get(name)
    if (known !== undefined) return known
    const entry: Entry = { kind, key, steps: [{ value: undefined, isDone: true }] }
    this.#entries.set(name, entry)
    return entry
  }
}

function isSame(a: Value, b: Value): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b)
}

function words(value: Value): string {
  return value === undefined ? 'absent' : `${value.length} bytes ${value.toString('hex', 0, 6)}`
}
