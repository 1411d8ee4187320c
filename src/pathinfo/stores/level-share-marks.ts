import { rm } from 'node:fs/promises'
import { Level } from 'level'
import { unhurriedCall } from '../../foundation/call.ts'
import type { Log } from '../../foundation/log.ts'
import { Semaphore } from '../../foundation/semaphore.ts'
import type { Mark, MarkKind, MarksState, ShareMarks } from '../share-marks.ts'

/** How many marks are looked at, or dropped, at once. */
const SWEEP_BATCH = 2_048

/** The first byte of each kind's keys. Another meaning takes another number. */
const KIND_BYTES: Readonly<Record<MarkKind, number>> = {
  'shared-path': 1,
  'private-path': 2,
  directory: 3,
  blob: 4,
  'shared-root': 5,
}

// Sorts before every mark's key.
const STATE_KEY = Buffer.from([0])

const LEVEL_OPTIONS = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const

const noHurry = unhurriedCall()

/**
 * Marks in a Level database of their own, of about 40 bytes each. It is derived from what is held:
 * it may be deleted whenever no node runs, and is made anew.
 */
export class LevelShareMarks implements ShareMarks {
  readonly #level: Level<Buffer, Buffer>
  /** One at a time, so that what is marked just now is not dropped as what it was before. */
  readonly #writing = new Semaphore(1)

  private constructor(level: Level<Buffer, Buffer>) {
    this.#level = level
  }

  /** Opens or creates marks at `path`; those that can not be read are made anew. */
  static async open(path: string, log: Log): Promise<LevelShareMarks> {
    const open = async (): Promise<LevelShareMarks> => {
      const level = new Level<Buffer, Buffer>(path, LEVEL_OPTIONS)
      await level.open()
      return new LevelShareMarks(level)
    }
    try {
      return await open()
    } catch (error) {
      // Not for fear of another process: the store beside it would have been in use first.
      log.warn('what is shared can not be read, finding it out anew', { path, error })
      await rm(path, { recursive: true, force: true })
      return await open()
    }
  }

  generationOf(kind: MarkKind, key: Uint8Array): number {
    // Not asynchronous, as in the index of records: a thread would take ten times as long.
    const value = this.#level.getSync(keyOf(kind, key))
    return value === undefined ? 0 : value.readUInt32LE()
  }

  async mark(marks: readonly Mark[], generation: number): Promise<void> {
    using _turn = await this.#writing.acquire(1, noHurry)
    const value = Buffer.alloc(4)
    value.writeUInt32LE(generation)
    await this.#level.batch(
      marks.map(({ kind, key }) => ({ type: 'put' as const, key: keyOf(kind, key), value })),
    )
  }

  async state(): Promise<MarksState | undefined> {
    const value = await this.#level.get(STATE_KEY)
    return value === undefined ? undefined : (JSON.parse(value.toString()) as MarksState)
  }

  async setState(state: MarksState): Promise<void> {
    await this.#level.put(STATE_KEY, Buffer.from(JSON.stringify(state)), { sync: true })
  }

  async dropBefore(generation: number): Promise<void> {
    const iterator = this.#level.iterator({ gt: STATE_KEY })
    try {
      for (;;) {
        const entries = await iterator.nextv(SWEEP_BATCH)
        if (entries.length === 0) return
        const old = entries.filter(([, value]) => value.readUInt32LE() < generation)
        await this.#drop(
          old.map(([key]) => key),
          generation,
        )
      }
    } finally {
      await iterator.close()
    }
  }

  async close(): Promise<void> {
    await this.#level.close()
  }

  async #drop(keys: readonly Buffer[], generation: number): Promise<void> {
    using _turn = await this.#writing.acquire(1, noHurry)
    const old = keys.filter((key) => {
      const value = this.#level.getSync(key)
      return value !== undefined && value.readUInt32LE() < generation
    })
    await this.#level.batch(old.map((key) => ({ type: 'del' as const, key })))
  }
}

function keyOf(kind: MarkKind, key: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(1 + key.length)
  bytes[0] = KIND_BYTES[kind]
  bytes.set(key, 1)
  return bytes
}
