import type { ChunkRef } from '../castore/blob-store.ts'
import type { Castore } from '../castore/castore.ts'
import type { Call } from '../foundation/call.ts'
import type { PathFacts } from '../pathinfo/path-facts.ts'
import type { FetchProgress } from './fetch-progress.ts'

/**
 * The port to those who want the same path from the same cache: one of them pulls it, and gives it
 * on while it comes, so that the cache's line carries it once.
 */
export interface PullSharing {
  /**
   * Decides who pulls a path from a cache. Resolves with a {@link Pull} when this node is to do it;
   * with undefined once somebody else has pulled it and has it whole: neighbours can then be asked
   * for it, and what they told of it meanwhile is in `into` already. Whoever is turned away again
   * asks for another turn; nobody is sent away for the same words twice.
   * @throws the call's reason
   */
  turn(
    facts: PathFacts,
    into: Castore,
    progress: FetchProgress,
    call: Call,
  ): Promise<Pull | undefined>
}

/**
 * The right to pull a path. Disposing of it before `complete` gives it up to who waits for it. It
 * is for one reading of one NAR: where that breaks off, and another is to be tried, it is disposed
 * of, and another turn asked for. What was told of both would not be one NAR, and look like a lie.
 */
export interface Pull extends Disposable {
  /**
   * Aborts where another node pulls the path as well, and has the better right to it: seldom, and
   * early. Whoever pulls should then stop, and wait for another turn.
   */
  readonly lost: AbortSignal
  /** Gives up what was lost, and waits for another turn, as {@link PullSharing.turn} does. */
  again(call: Call): Promise<Pull | undefined>
  /** A chunk of the content is stored here; they are told in the order of the NAR. */
  stored(chunk: ChunkRef): void
  /** All is here and proven, and neighbours who ask for the path are given it. */
  complete(): void
}
