import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import { ExpiringMap } from '../foundation/expiring-map.ts'
import type { Log } from '../foundation/log.ts'
import type { Service } from '../foundation/service.ts'
import { WorkAhead } from '../foundation/work-ahead.ts'
import { encodeNixBase32 } from '../nix/nix-base32.ts'
import type { PathFacts } from '../pathinfo/path-facts.ts'
import type { Substituter } from './substituter.ts'

/** Bytes of NARs that are fetched before a client asks for them, where nothing else is said. */
export const AHEAD_BYTES_MAX = 64 * 1024 * 1024

/** How many paths are fetched at once before a client asks for them. */
const PATHS_AT_ONCE = 4

/** How many paths are asked about that a client has not asked about yet. */
export const DESCRIBED_AHEAD_MAX = 64

/** How many of these questions are under way at once. */
const QUESTIONS_AT_ONCE = 8

/** How many paths wait to be asked about, or fetched. */
const WAITING_MAX = 16_384

/** For how long a client that was told of a path may come back for it, in milliseconds. */
export const TOLD_MS = 600_000

/** How many paths, and references of theirs, are remembered that clients were told of. */
const TOLD_MAX = 131_072

/** What it works with. */
export interface ClosureAheadComponents {
  readonly substituter: Pick<Substituter, 'describe' | 'obtain' | 'isOffered'>
  readonly clock: Clock
  readonly log: Log
}

interface Told {
  readonly hash: Uint8Array
  readonly narSize: number
  readonly references: readonly string[]
  /** Whether a client has begun to fetch the closure of it. */
  isWanted: boolean
}

/**
 * Goes ahead of clients that walk through closures. Nix asks what there is to know of a path, then
 * of each that it refers to; when it knows the whole closure, it takes one path after the other,
 * and unpacks each before it asks for the next. Meanwhile this asks and fetches what comes next.
 *
 * A client walks once it asks about what a path refers to that it was told of; it fetches a closure
 * once it takes any path of it. How far ahead this goes is limited, for clients that stop there.
 */
export class ClosureAhead implements Service {
  readonly name = 'closures ahead'
  readonly #substituter: ClosureAheadComponents['substituter']
  readonly #questions: WorkAhead
  readonly #fetches: WorkAhead
  /** What clients were told of that was not here; who refers to it. */
  readonly #told: ExpiringMap<Told>
  readonly #referrers: ExpiringMap<Set<string>>

  /** @param init.bytesMax how much content is fetched ahead, in bytes; 0 to go ahead of nobody */
  constructor(components: ClosureAheadComponents, init: { bytesMax?: number } = {}) {
    this.#substituter = components.substituter
    const shared = { waitingMax: WAITING_MAX, quietMs: TOLD_MS }
    const weightMax = init.bytesMax ?? AHEAD_BYTES_MAX
    this.#fetches = new WorkAhead(components, { ...shared, weightMax, atOnce: PATHS_AT_ONCE })
    const questions = { atOnce: QUESTIONS_AT_ONCE, isLastFirst: true }
    const questionsMax = weightMax === 0 ? 0 : DESCRIBED_AHEAD_MAX
    this.#questions = new WorkAhead(components, {
      ...shared,
      ...questions,
      weightMax: questionsMax,
    })
    const kept = { keptMs: TOLD_MS, weightMax: TOLD_MAX }
    const weigh = (told: Told): number => 1 + told.references.length
    this.#told = new ExpiringMap(components, { ...kept, weigh })
    this.#referrers = new ExpiringMap(components, { ...kept, weigh: (them) => them.size })
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {
    await Promise.all([this.#questions.stop(), this.#fetches.stop()])
  }

  /** A client has asked about a path, and was told these facts, or that nobody has it. */
  described(hash: Uint8Array, facts: PathFacts | undefined): void {
    const key = encodeNixBase32(hash)
    this.#questions.asked(key)
    if (facts === undefined || !this.#substituter.isOffered(hash)) return
    const references = referencesOf(facts)
    const referrers = [...(this.#referrers.get(key) ?? [])]
    const isWanted = referrers.some((it) => this.#told.get(it)?.isWanted)
    const told = { hash, narSize: facts.narSize, references: [...references.keys()], isWanted }
    this.#told.set(key, told)
    for (const it of references.keys()) {
      const others = this.#referrers.get(it) ?? new Set()
      this.#referrers.set(it, others.add(key))
    }
    if (referrers.length > 0) this.#askAbout(references)
    if (isWanted) this.#fetch(key, told)
  }

  /** A client takes the content of a path. */
  asked(hash: Uint8Array): void {
    const key = encodeNixBase32(hash)
    this.#fetches.asked(key)
    const told = this.#told.get(key)
    if (told === undefined || told.isWanted) return
    for (const it of this.#closuresWith(key).reverse()) {
      const other = this.#told.get(it)!
      if (!other.isWanted && it !== key) this.#fetch(it, other)
      other.isWanted = true
    }
  }

  /** All that a client was told of that is in a closure with a path, referrers mostly first. */
  #closuresWith(key: string): string[] {
    const above = this.#reached([key], (it) => this.#referrers.get(it) ?? [])
    return this.#reached(above.reverse(), (it) => this.#told.get(it)!.references)
  }

  /** All that a client was told of that can be reached from some of it. */
  #reached(from: readonly string[], next: (key: string) => Iterable<string>): string[] {
    const reached = new Set(from)
    for (const key of reached) {
      for (const it of next(key)) if (this.#told.get(it) !== undefined) reached.add(it)
    }
    return [...reached]
  }

  #fetch(key: string, { hash, narSize }: Told): void {
    const run = (call: Call) => this.#substituter.obtain(hash, call)
    this.#fetches.add({ key, weight: narSize, run })
  }

  /** Asks about paths, and about what these refer to. */
  #askAbout(paths: ReadonlyMap<string, Uint8Array>): void {
    for (const [key, hash] of [...paths].reverse()) {
      if (this.#told.get(key) !== undefined) continue
      const run = async (call: Call): Promise<void> => {
        const facts = await this.#substituter.describe(hash, call)
        if (facts !== undefined && this.#substituter.isOffered(hash)) {
          this.#askAbout(referencesOf(facts))
        }
      }
      this.#questions.add({ key, weight: 1, run })
    }
  }
}

/** What a path refers to, itself aside, by names. */
function referencesOf(facts: PathFacts): Map<string, Uint8Array> {
  const own = encodeNixBase32(facts.storePath.hash)
  const references = new Map(facts.references.map(({ hash }) => [encodeNixBase32(hash), hash]))
  references.delete(own)
  return references
}
