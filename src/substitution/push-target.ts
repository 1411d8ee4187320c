import type { Call } from '../foundation/call.ts'
import type { StorePath } from '../nix/store-path.ts'
import type { PathInfo } from '../pathinfo/path-info.ts'

/** The port to where store paths can be pushed: a binary cache, or another store. */
export interface PushTarget {
  /** For people; holds no credentials. */
  readonly name: string
  /** Which of these it has already. @throws where it could not tell */
  holds(storePaths: readonly StorePath[], call: Call): Promise<readonly boolean[]>
  /**
   * Brings a path's content there; nobody is told of the path yet. `onBytes` hears of the content's
   * bytes as they go.
   * @throws where it could not be brought
   */
  upload(pathInfo: PathInfo, onBytes: (bytes: number) => void, call: Call): Promise<Publish>
  /** Whether what it threw would be the same another time: this node may not write there. */
  isFinal(error: unknown): boolean
}

/** Tells all who read there of a path whose content is there, and so is all that it refers to. */
export type Publish = (call: Call) => Promise<void>
