import { dirname } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { Disk, DiskFile, FileFacts } from '../../src/castore/stores/disk.ts'
import { type Random, seededRandom } from '../../src/foundation/random.ts'
import { CachedFile, type Loss } from './cached-file.ts'
import { FaultDice, type FaultKind, type FaultRates } from './fault-dice.ts'

/** What a call to a faulty disk fails with. */
export class DiskError extends Error {
  readonly code: string

  constructor(code: 'EIO' | 'ENOSPC' | 'ENOENT' | 'EOFF', what: string) {
    super(`${code}: ${what}`)
    this.name = 'DiskError'
    this.code = code
  }
}

/** What a disk is like. */
export interface FaultyDiskInit {
  readonly seed: number
  readonly rates?: FaultRates
}

/** How the machine stops: the process alone, which leaves the cache, or all of it. */
export type Stop = 'kill' | 'power-cut'

type NameChange = { readonly path: string; readonly file: CachedFile | undefined }

const LOSSES: readonly Loss[] = ['all-kept', 'all-lost', 'in-order', 'any-order']

/**
 * A disk in memory with a cache before it. Writes are seen at once and are stable after a sync of
 * the file; names are after one of the directory. Faults strike as the seed says, and the power can
 * be cut before any operation: then each change that was not synced is there, or not, or in parts.
 */
export class FaultyDisk implements Disk {
  readonly #dice: FaultDice
  readonly #random: Random
  readonly #pace: Random
  readonly #directories = new Set<string>()
  #names = new Map<string, CachedFile>()
  #stableNames = new Map<string, CachedFile>()
  #unsyncedNames: NameChange[] = []
  /** How many writes fail for want of space from now on. */
  #full = 0
  #life = 0
  #operations = 0
  #stop: { readonly at: number; readonly onOff: () => void } | undefined
  #isOff = false
  #hasLost = false

  constructor(init: FaultyDiskInit) {
    this.#dice = new FaultDice({ seed: init.seed, rates: init.rates ?? {} })
    this.#random = seededRandom(init.seed * 7 + 1)
    this.#pace = seededRandom(init.seed * 7 + 2)
  }

  /** How many operations there were. */
  get operations(): number {
    return this.#operations
  }

  get isOff(): boolean {
    return this.#isOff
  }

  /** Whether something that was written reads no more in this life, because a sync failed. */
  get hasLost(): boolean {
    return this.#hasLost
  }

  /** Whether faults strike. */
  set hasFaults(value: boolean) {
    this.#dice.isOn = value
    if (!value) this.#full = 0
  }

  /** Stops everything at the operation after so many more; `onOff` is called at that moment. */
  stopAfter(operations: number, onOff: () => void): void {
    this.#stop = { at: this.#operations + operations, onOff }
  }

  /** Begins a new life: what was open is not any more. */
  restart(how: Stop): void {
    this.#life++
    this.#isOff = false
    this.#hasLost = false
    this.#stop = undefined
    if (how === 'kill') return
    for (const change of this.#unsyncedNames) {
      if (this.#random.integer(2) === 0) named(this.#stableNames, change)
    }
    this.#unsyncedNames = []
    this.#names = new Map(this.#stableNames)
    for (const file of this.#names.values()) {
      const loss = LOSSES[this.#random.integer(LOSSES.length)]!
      file.losePower(this.#random, loss)
    }
  }

  async makeDirectory(path: string): Promise<void> {
    await this.#begin()
    this.#directories.add(path)
  }

  async list(directory: string): Promise<string[]> {
    await this.#begin('read')
    if (!this.#directories.has(directory)) throw new DiskError('ENOENT', directory)
    const inside = [...this.#names.keys()].filter((path) => dirname(path) === directory)
    return inside.map((path) => path.slice(directory.length + 1))
  }

  async facts(path: string): Promise<FileFacts | undefined> {
    await this.#begin('read')
    const file = this.#names.get(path)
    return file === undefined ? undefined : { bytes: file.length, modifiedMs: file.modifiedMs }
  }

  async open(path: string, how: 'read' | 'write' | 'begin'): Promise<DiskFile> {
    await this.#begin('open')
    const known = this.#names.get(path)
    if (known === undefined && how !== 'begin') throw new DiskError('ENOENT', path)
    const file = known ?? new CachedFile()
    if (known === undefined) this.#name({ path, file })
    else if (how === 'begin') file.cut(0)
    return this.#handle(file)
  }

  async remove(path: string): Promise<void> {
    await this.#begin('remove')
    if (!this.#names.has(path)) throw new DiskError('ENOENT', path)
    this.#name({ path, file: undefined })
  }

  async syncNames(directory: string): Promise<void> {
    await this.#begin('names')
    const isInside = ({ path }: NameChange): boolean => dirname(path) === directory
    for (const change of this.#unsyncedNames.filter(isInside)) named(this.#stableNames, change)
    this.#unsyncedNames = this.#unsyncedNames.filter((change) => !isInside(change))
  }

  #name(change: NameChange): void {
    named(this.#names, change)
    this.#unsyncedNames.push(change)
  }

  #handle(file: CachedFile): DiskFile {
    const life = this.#life
    let isOpen = true
    const begin = async (kind?: FaultKind): Promise<void> => {
      if (!isOpen) throw new Error('a file is used that was closed')
      if (life !== this.#life) throw new DiskError('EOFF', 'a file of an earlier life')
      await this.#begin(kind)
    }
    return {
      read: async (target, position) => {
        await begin('read')
        const bytes = this.#pace.integer(8) > 0 ? target.length : 1 + this.#pace.integer(4096)
        return file.read(target.subarray(0, bytes), position)
      },
      write: async (pieces, position) => {
        await begin()
        return this.#write(file, Buffer.concat(pieces), position)
      },
      truncate: async (bytes) => {
        await begin('truncate')
        file.cut(bytes)
      },
      sync: async () => {
        await begin()
        if (!this.#dice.strikes('sync')) return file.sync()
        const isDropped = this.#dice.integer('sync', 4) === 0
        this.#hasLost ||= isDropped
        file.failSync(this.#random, isDropped)
        throw new DiskError('EIO', 'sync')
      },
      close: async () => {
        if (!isOpen) throw new Error('a file is closed twice')
        isOpen = false
      },
    }
  }

  /** Writes all, or a part of it, or a part and fails. */
  #write(file: CachedFile, bytes: Buffer, position: number): number {
    file.modifiedMs = this.#operations
    if (this.#dice.strikes('no-space')) this.#full = 1 + this.#dice.integer('no-space', 6)
    if (this.#full > 0) {
      const room = this.#full-- % 2 === 0 ? this.#random.integer(bytes.length + 1) : 0
      file.write(bytes.subarray(0, room), position)
      if (room > 0) return room
      throw new DiskError('ENOSPC', 'write')
    }
    if (this.#dice.strikes('write')) {
      file.write(bytes.subarray(0, this.#dice.integer('write', bytes.length + 1)), position)
      throw new DiskError('EIO', 'write')
    }
    const isShort = bytes.length > 1 && this.#dice.strikes('short-write')
    const length = isShort ? 1 + this.#dice.integer('short-write', bytes.length - 1) : bytes.length
    file.write(bytes.subarray(0, length), position)
    return length
  }

  /** Takes its time, and fails where the power is off or a fault strikes. */
  async #begin(kind?: FaultKind): Promise<void> {
    const life = this.#life
    for (let i = this.#pace.integer(4); i > 0; i--) await undefined
    const turns = this.#dice.strikes('slow') ? 20 : this.#pace.integer(6) === 0 ? 1 : 0
    for (let i = 0; i < turns; i++) await setImmediate()
    if (life !== this.#life) throw new DiskError('EOFF', 'an operation of an earlier life')
    if (!this.#isOff && this.#stop !== undefined && this.#operations >= this.#stop.at) {
      this.#isOff = true
      this.#stop.onOff()
    }
    if (this.#isOff) throw new DiskError('EOFF', 'the machine is off')
    this.#operations++
    if (kind !== undefined && this.#dice.strikes(kind)) throw new DiskError('EIO', kind)
  }
}

function named(names: Map<string, CachedFile>, { path, file }: NameChange): void {
  if (file === undefined) names.delete(path)
  else names.set(path, file)
}
