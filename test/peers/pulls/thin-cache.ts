import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Call } from '../../../src/foundation/call.ts'
import { ingestNar } from '../../../src/nar/ingest-nar.ts'
import { nixFingerprint } from '../../../src/nix/fingerprint.ts'
import type { SecretKey } from '../../../src/nix/key.ts'
import { PathFacts } from '../../../src/pathinfo/path-facts.ts'
import { FetchProgress } from '../../../src/substitution/fetch-progress.ts'
import { call } from '../../fixtures/content.ts'
import { HOUSE_KEY, type PeerNode, storePath } from '../../fixtures/peer-node.ts'

/** A pull from the cache, as a test sees it. */
export interface Pulled {
  readonly node: PeerNode
  /** Bytes of the NAR that went over the cache's line for it. */
  bytes: number
}

/** A cache with one path behind a thin line, and what nodes do to have it from there. */
export class ThinCache {
  readonly facts: PathFacts
  readonly pulls: Pulled[] = []
  readonly #nar: Uint8Array
  readonly #pieceMs: number
  /** Up to where the line carries the NAR, in bytes; all of it by default. */
  heldAt = Number.POSITIVE_INFINITY
  /** How many pulls were given up because another had the better right. */
  yielded = 0

  /** @param init.pieceMs how long 64 KiB take over the line, in milliseconds */
  constructor(init: {
    readonly name: string
    readonly nar: Uint8Array
    readonly pieceMs?: number
    readonly key?: SecretKey
  }) {
    this.#nar = init.nar
    this.#pieceMs = init.pieceMs ?? 5
    const narSha256 = Uint8Array.from(createHash('sha256').update(init.nar).digest())
    const fields = {
      storePath: storePath(init.name),
      ...{ narSize: init.nar.length, narSha256, references: [] },
    }
    const unsigned = new PathFacts(fields)
    const signatures = [(init.key ?? HOUSE_KEY).sign(nixFingerprint(unsigned))]
    this.facts = new PathFacts({ ...fields, signatures })
  }

  /** How much the line has carried, in copies of the NAR. */
  get copies(): number {
    return this.pulls.reduce((sum, { bytes }) => sum + bytes, 0) / this.#nar.length
  }

  /** How many pulls went over the line from the first to the last byte. */
  get whole(): number {
    return this.pulls.filter(({ bytes }) => bytes === this.#nar.length).length
  }

  /** Has a node get the path as a substituter does: from neighbours, or from here in its turn. */
  async want(node: PeerNode, until: Call = call): Promise<void> {
    const progress = new FetchProgress()
    for (;;) {
      using pull = await node.pulls.turn(this.facts, node.castore, progress, until)
      if (pull === undefined) {
        if ((await node.substituter.obtain(this.facts.storePath.hash, until)) !== undefined) return
        continue
      }
      const pulled = { node, bytes: 0 }
      this.pulls.push(pulled)
      const life = { signal: AbortSignal.any([until.signal, pull.lost]) }
      try {
        const onStored = pull.stored
        const nar = this.#carry(pulled, progress, life)
        const ingested = await ingestNar(nar, node.castore, life, { onStored })
        const fields = { storePath: this.facts.storePath, references: [], ...ingested }
        await node.intake.take(fields, life)
        pull.complete()
        return
      } catch (error) {
        if (!pull.lost.aborted) throw error
        this.yielded++
      }
    }
  }

  async *#carry(
    pulled: Pulled,
    progress: FetchProgress,
    { signal }: Call,
  ): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < this.#nar.length; at += 65_536) {
      while (at >= this.heldAt) await sleep(5, undefined, { signal })
      await sleep(this.#pieceMs, undefined, { signal })
      const piece = this.#nar.subarray(at, at + 65_536)
      pulled.bytes += piece.length
      progress.bytesFetched += piece.length
      yield piece
    }
  }
}
