import { blobBytes, type ChunkRef, type NamedBlob } from '../../castore/blob-store.ts'
import { Outboard } from '../../castore/verified/outboard.ts'
import { ProofError } from '../../castore/verified/proof-error.ts'
import type { Call } from '../../foundation/call.ts'
import type { Digest } from '../../foundation/digest.ts'
import type { AnswerItem } from '../exchange/exchange-session.ts'
import { PeerError, peerError } from '../peer-error.ts'
import { askInTurn } from './ask-in-turn.ts'
import type { ContentFetchComponents } from './content-fetch-components.ts'
import { isPlausible } from './layout-fetch.ts'

/** About how many bytes the answer has where the length of the blob is not known yet. */
const ANSWER_BYTES = 256 * 1024

/** How a blob is cut and what proves it, as one peer says: it answers for both. */
export interface BlobProof {
  readonly layout: readonly ChunkRef[]
  readonly outboard: Outboard
  readonly peer: string
}

/** What holders say of a blob that is read in parts: one is believed until it is found out. */
export class BlobProofs {
  readonly #digest: Digest
  /** The blob's length in bytes, once it is known for certain. */
  #size: number | undefined
  readonly #holders: Iterable<string>
  readonly #components: ContentFetchComponents
  readonly #asked = new Set<string>()
  #current: BlobProof | undefined
  #failure: unknown

  constructor(
    components: ContentFetchComponents,
    init: { blob: NamedBlob; holders: Iterable<string> },
  ) {
    this.#components = components
    this.#digest = init.blob.digest
    this.#size = init.blob.size
    this.#holders = init.holders
  }

  /** Why the last one was of no use, if there is a reason. */
  get failure(): unknown {
    return this.#failure
  }

  /** The blob's length has been proven: from now on nobody may say another. */
  settleSize(bytes: number): void {
    this.#size = bytes
  }

  /** What to go by now; undefined where nobody is left who can say. */
  async current(call: Call): Promise<BlobProof | undefined> {
    if (this.#current !== undefined) return this.#current
    const ask = async (peer: string): Promise<'enough' | 'more'> => {
      if (this.#asked.has(peer)) return 'more'
      this.#asked.add(peer)
      this.#current = await this.#ask(peer, call)
      return this.#current === undefined ? 'more' : 'enough'
    }
    const { failure } = await askInTurn(this.#holders, this.#components, ask, call)
    this.#failure = failure ?? this.#failure
    return this.#current
  }

  /**
   * What went by a proof came to nothing. Who gave it is told of where it is wrong, and not where
   * nobody has what it names. Other errors are none of its fault, and thrown.
   */
  drop(proof: BlobProof, error: unknown): void {
    const isLie = error instanceof ProofError
    if (!isLie && !(error instanceof PeerError && error.fault.code === 'no-holder')) throw error
    this.#failure = error
    if (this.#current === proof) this.#current = undefined
    const { peer } = proof
    if (isLie) this.#components.client.reportError(peer, this.#corrupt(peer, error))
  }

  async #ask(peer: string, call: Call): Promise<BlobProof | undefined> {
    let found: BlobProof | undefined
    let answers = 0
    const onAnswer = (answer: AnswerItem): void => {
      if (answers++ > 0 || (answer.type !== 'layout' && answer.type !== 'absent')) {
        const what = `${answer.type} instead of one chunk list`
        throw peerError({ code: 'protocol-broken', peer, what })
      }
      if (answer.type === 'absent') return
      const { layout, outboard } = answer
      const digest = this.#digest
      const size = this.#size ?? blobBytes(layout)
      if (!isPlausible({ digest, size }, layout)) throw this.#corrupt(peer)
      if (outboard === undefined) return
      try {
        found = { layout, outboard: new Outboard(digest, size, outboard), peer }
      } catch (cause) {
        throw this.#corrupt(peer, cause)
      }
    }
    const want = { type: 'layouts', digests: [this.#digest], outboards: true } as const
    await this.#components.client.ask(peer, { want, bytes: ANSWER_BYTES, onAnswer }, call)
    return found
  }

  #corrupt(peer: string, cause?: unknown): PeerError {
    return peerError({ code: 'content-corrupt', peer, digest: this.#digest.hex }, cause)
  }
}
