import { encodeRoot } from '../castore/model/directory-codec.ts'
import type { PathInfo } from '../pathinfo/path-info.ts'

/** How many described paths are remembered by their roots. */
export const ROOTS_MAX = 65_536

/**
 * Remembers which store path a root was described for. A narinfo names the NAR by its root; when a
 * client comes for it and it is not here yet, this says which path to obtain.
 */
export class DescribedRoots {
  readonly #paths = new Map<string, PathInfo>()

  remember(pathInfo: PathInfo): void {
    const key = keyOf(pathInfo)
    this.#paths.delete(key)
    this.#paths.set(key, pathInfo)
    if (this.#paths.size <= ROOTS_MAX) return
    const oldest = this.#paths.keys().next().value
    if (oldest !== undefined) this.#paths.delete(oldest)
  }

  /** The path that was described with this root. */
  get(node: PathInfo['node']): PathInfo | undefined {
    return this.#paths.get(keyOf({ node }))
  }
}

function keyOf({ node }: Pick<PathInfo, 'node'>): string {
  return Buffer.from(encodeRoot(node)).toString('latin1')
}
