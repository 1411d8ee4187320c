import type { Node } from '../castore/model/node.ts'
import type { Call } from '../foundation/call.ts'
import type { Digest } from '../foundation/digest.ts'
import type { PathFacts } from './path-facts.ts'
import type { PathInfo } from './path-info.ts'

/** The port to what whoever asks may read. What it denies is to look as if it were not held. */
export interface ReadAccess {
  /** Whether everything may be read. */
  readonly isOwner: boolean
  /** Whether the path may be told of, whether it is held already or would be fetched. */
  shares(facts: PathFacts): boolean
  /**
   * Whether a path that is held may be told of, and all that it reaches may be read from now on.
   * It may take a moment where the path has just come.
   */
  tells(pathInfo: PathInfo, call: Call): Promise<boolean>
  /** Whether a Directory may be read, and with it all that is below it. */
  reachesDirectory(digest: Digest): boolean
  /** Whether a blob or a chunk may be read. */
  reachesBlob(digest: Digest): boolean
  /** Whether what belongs to no path may be read: logs, realisations and their like. */
  readonly sharesDocuments: boolean
}

/** What the owner of this machine may read: everything. */
export const OWNER_ACCESS: ReadAccess = {
  isOwner: true,
  shares: () => true,
  tells: async () => true,
  reachesDirectory: () => true,
  reachesBlob: () => true,
  sharesDocuments: true,
}

/** Whether all that is below a root may be read. A symlink holds nothing but what its name says. */
export function reachesRoot(access: ReadAccess, root: Node): boolean {
  switch (root.type) {
    case 'directory':
      return access.reachesDirectory(root.digest)
    case 'file':
      return access.reachesBlob(root.digest)
    case 'symlink':
      return true
  }
}
