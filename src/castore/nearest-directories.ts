import type { Call } from '../foundation/call.ts'
import type { Digest } from '../foundation/digest.ts'
import { readAhead } from '../foundation/read-ahead.ts'
import { missingContent } from './content-below.ts'
import { DigestSet } from './digest-set.ts'
import type { DirectorySource } from './directory-store.ts'
import type { Directory } from './model/directory.ts'

/** How many single Directories are asked for besides the one that is awaited. */
const AHEAD = 15

/** What of a tree was found in one place: the Directory with all below it, or it alone. */
interface Found {
  readonly whole?: AsyncIterable<Directory>
  readonly alone?: Directory
}

/**
 * Directories of two stores: what the near one has is not asked of the far one, nor what is below
 * it. Of a tree of which the near one has nothing all comes in one closure; where it has some, as
 * of another version of the same thing, the others are asked for one by one, level by level.
 */
export class NearestDirectories implements Pick<DirectorySource, 'closure'> {
  readonly #near: DirectorySource
  readonly #far: DirectorySource
  readonly #onFar: () => void

  /** `onFar` is told of each Directory that the far store gave. */
  constructor(
    components: { readonly near: DirectorySource; readonly far: DirectorySource },
    init: { readonly onFar?: () => void } = {},
  ) {
    this.#near = components.near
    this.#far = components.far
    this.#onFar = init.onFar ?? (() => undefined)
  }

  /** As {@link DirectorySource.closure}. */
  async *closure(root: Digest, call: Call): AsyncGenerator<Directory> {
    const given = new DigestSet()
    const look = (digest: Digest): Promise<Found> => this.#find(digest, call)
    for (let level = [root]; level.length > 0; ) {
      const next: Digest[] = []
      let at = 0
      for await (const { whole, alone } of readAhead(level, AHEAD, look)) {
        const digest = level[at++]!
        if (whole !== undefined) {
          for await (const it of whole) if (given.add(it.digest.bytes)) yield it
        } else if (alone !== undefined) {
          if (given.add(alone.digest.bytes)) yield alone
          next.push(...childrenOf(alone))
        } else if (!digest.equals(root)) {
          throw missingContent(digest, 'directory')
        }
      }
      level = distinct(next, given)
    }
  }

  async #find(digest: Digest, call: Call): Promise<Found> {
    if ((await this.#near.get(digest, call)) !== undefined) {
      return { whole: this.#near.closure(digest, call) }
    }
    const alone = await this.#far.get(digest, call)
    if (alone === undefined) return {}
    const isOfUse = await this.#hasAny(childrenOf(alone), call)
    if (!isOfUse) return { whole: this.#farBelow(digest, call) }
    this.#onFar()
    return { alone }
  }

  async *#farBelow(digest: Digest, call: Call): AsyncGenerator<Directory> {
    for await (const directory of this.#far.closure(digest, call)) {
      this.#onFar()
      yield directory
    }
  }

  async #hasAny(digests: readonly Digest[], call: Call): Promise<boolean> {
    if (digests.length === 0) return true // there is nothing below it to bring along
    for (const digest of digests) {
      if ((await this.#near.get(digest, call)) !== undefined) return true
    }
    return false
  }
}

function childrenOf({ entries }: Directory): Digest[] {
  return entries.flatMap(({ node }) => (node.type === 'directory' ? [node.digest] : []))
}

/** Each digest once, and none of what was given already. */
function distinct(digests: readonly Digest[], given: DigestSet): Digest[] {
  const met = new DigestSet()
  return digests.filter(({ bytes }) => !given.has(bytes) && met.add(bytes))
}
