import type { ChunkRef } from '../../castore/blob-store.ts'
import type { Call } from '../../foundation/call.ts'
import type { Clock } from '../../foundation/clock.ts'
import type { Digest } from '../../foundation/digest.ts'
import type { Log } from '../../foundation/log.ts'
import type { Service } from '../../foundation/service.ts'
import type { PathInfo } from '../../pathinfo/path-info.ts'
import type { LocalPathInfoStore } from '../../pathinfo/path-info-store.ts'
import type { ExchangeClient } from '../exchange/exchange-client.ts'
import { peerError } from '../peer-error.ts'
import { pullName } from './pull-name.ts'
import { type ToldCastore, toldFalsehood } from './told-falsehood.ts'

/** Of how many pulls it is remembered what was told, until their paths are here to be compared. */
export const PROOFS_MAX = 64

/** For how long it is remembered what was told of a pull, in milliseconds. */
export const PROOF_MS = 600_000

/** How many chunks of one pull are compared: the first ones. */
export const PROOF_CHUNKS_MAX = 8_192

/** What it works with. */
export interface PullProofsComponents {
  readonly castore: ToldCastore
  readonly pathInfos: Pick<LocalPathInfoStore, 'changes'>
  readonly client: Pick<ExchangeClient, 'reportError'>
  readonly clock: Clock
  readonly log: Log
}

interface Told {
  readonly peer: string
  readonly chunks: readonly ChunkRef[]
  readonly untilMs: number
}

/**
 * Compares what was told of pulls with the paths, once they are here and proven: who told of chunks
 * that do not occur in the path it said to have whole has lied.
 */
export class PullProofs implements Service {
  readonly name = 'pull proofs'
  readonly #components: PullProofsComponents
  /** By the names of their paths, the oldest first. */
  readonly #told = new Map<string, Told>()
  readonly #stopping = new AbortController()
  #following: Promise<void> = Promise.resolve()

  constructor(components: PullProofsComponents) {
    this.#components = components
  }

  async start(): Promise<void> {
    this.#following = this.#follow({ signal: this.#stopping.signal })
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopping'))
    await this.#following
  }

  /** A peer says that it has a path whole, and has told these chunks of it. */
  expect(name: Digest, peer: string, chunks: readonly ChunkRef[]): void {
    if (chunks.length === 0) return
    const nowMs = this.#components.clock.now()
    const told = { peer, chunks: chunks.slice(0, PROOF_CHUNKS_MAX), untilMs: nowMs + PROOF_MS }
    this.#told.delete(name.hex)
    this.#told.set(name.hex, told)
    for (const [key, { untilMs }] of this.#told) {
      if (untilMs > nowMs && this.#told.size <= PROOFS_MAX) break
      this.#told.delete(key)
    }
  }

  async #follow(call: Call): Promise<void> {
    const { pathInfos, log } = this.#components
    try {
      for await (const event of pathInfos.changes(call)) {
        if (event.type === 'put') await this.#compare(event.pathInfo, call)
      }
    } catch (error) {
      if (!call.signal.aborted) log.warn('what is told of pulls is not checked', { error })
    }
  }

  async #compare(pathInfo: PathInfo, call: Call): Promise<void> {
    const { castore, client, log } = this.#components
    const key = pullName(pathInfo).hex
    const told = this.#told.get(key)
    if (told === undefined) return
    this.#told.delete(key)
    const { peer, chunks } = told
    try {
      const what = await toldFalsehood(chunks, pathInfo.node, castore, call)
      if (what !== undefined) {
        client.reportError(peer, peerError({ code: 'pull-false', peer, what }))
      }
    } catch (error) {
      if (call.signal.aborted) throw error
      log.warn('what was told of a pull could not be checked', { peer, error })
    }
  }
}
