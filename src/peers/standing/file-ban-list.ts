import { readFile, rename, writeFile } from 'node:fs/promises'
import { z } from 'zod'
import type { Log } from '../../foundation/log.ts'
import type { Service } from '../../foundation/service.ts'
import { systemErrorCode } from '../../foundation/system-error.ts'
import type { Ban, BanList } from './ban-list.ts'

/** How many bans are kept. Ids cost nothing to make: in the end even the oldest has to go. */
export const BANS_MAX = 4_096

/** How many characters of a reason are kept. */
const REASON_LENGTH_MAX = 300

const banSchema = z.object({ peer: z.string().min(1), sinceMs: z.number(), reason: z.string() })

/**
 * Bans in a text file, one JSON object a line: for people to read, and to edit while the node does
 * not run. It is written anew, beside the old one, whenever they change: lies are rare.
 */
export class FileBanList implements BanList, Service {
  readonly name = 'bans'
  readonly #path: string
  readonly #log: Log
  readonly #bans: Map<string, Ban>
  #writing: Promise<void> = Promise.resolve()
  #isBehind = false

  private constructor(path: string, log: Log, bans: readonly Ban[]) {
    this.#path = path
    this.#log = log
    this.#bans = new Map(bans.map((ban) => [ban.peer, ban]))
  }

  /** Reads a file; one that is not there has no bans. What is no ban is left out, and told. */
  static async open(path: string, log: Log): Promise<FileBanList> {
    const bans: Ban[] = []
    for (const [i, line] of (await linesOf(path)).entries()) {
      const ban = parsed(line)
      if (ban !== undefined) bans.push(ban)
      else log.warn('a line is no ban, and is left out', { path, line: i + 1 })
    }
    return new FileBanList(path, log, bans.slice(-BANS_MAX))
  }

  get bans(): readonly Ban[] {
    return [...this.#bans.values()]
  }

  async start(): Promise<void> {}

  /** Resolves when all is written. */
  async stop(): Promise<void> {
    await this.#writing
  }

  add(ban: Ban): void {
    const reason = ban.reason.slice(0, REASON_LENGTH_MAX)
    this.#bans.set(ban.peer, { ...ban, reason })
    const [oldest] = this.#bans.keys()
    if (this.#bans.size > BANS_MAX && oldest !== undefined) this.#bans.delete(oldest)
    this.#save()
  }

  remove(peer: string): void {
    if (this.#bans.delete(peer)) this.#save()
  }

  /** Many changes at once cost two writes. */
  #save(): void {
    if (this.#isBehind) return
    this.#isBehind = true
    this.#writing = this.#writing
      .then(() => {
        this.#isBehind = false
        return this.#write()
      })
      .catch((error) => this.#log.error('bans could not be written', { path: this.#path, error }))
  }

  async #write(): Promise<void> {
    const text = this.bans.map((ban) => `${JSON.stringify(ban)}\n`).join('')
    const beside = `${this.#path}.new`
    await writeFile(beside, text, { mode: 0o644, flush: true })
    await rename(beside, this.#path)
  }
}

async function linesOf(path: string): Promise<string[]> {
  try {
    return (await readFile(path, 'utf8')).split('\n').filter((line) => line.trim() !== '')
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return []
    throw error
  }
}

function parsed(line: string): Ban | undefined {
  try {
    return banSchema.parse(JSON.parse(line))
  } catch {
    return undefined
  }
}
