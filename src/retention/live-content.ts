import { DigestSet } from '../castore/digest-set.ts'
import type { Node } from '../castore/model/node.ts'
import type { RecordKeeper } from '../castore/record-keeper.ts'
import type { RecordKind } from '../castore/record-store.ts'
import type { Call } from '../foundation/call.ts'
import { type ReachedRecord, walkContent } from './content-walk.ts'

/** What some content comes to beside that which is live already. */
export interface ContentShare {
  /** Bytes of chunks, each counted once. */
  readonly bytes: number
  readonly reached: readonly ReachedRecord[]
}

/** Content that something which is kept reaches; each part of it counts once. */
export class LiveContent {
  readonly #components: { readonly keeper: Pick<RecordKeeper, 'peek'> }
  readonly #directories = new DigestSet()
  /** Blobs of several chunks. */
  readonly #blobs = new DigestSet()
  readonly #chunks = new DigestSet()
  #bytes = 0

  constructor(components: { readonly keeper: Pick<RecordKeeper, 'peek'> }) {
    this.#components = components
  }

  /** Bytes of live chunks. */
  get bytes(): number {
    return this.#bytes
  }

  /** What these nodes would add. */
  async share(nodes: readonly Node[], call: Call): Promise<ContentShare> {
    const seen = {
      directory: new DigestSet(),
      blob: new DigestSet(),
      chunk: new DigestSet(),
    }
    const live = { directory: this.#directories, blob: this.#blobs, chunk: this.#chunks }
    const isKnown = (what: keyof typeof seen, digest: Uint8Array): boolean =>
      live[what].has(digest) || !seen[what].add(digest)
    const reached: ReachedRecord[] = []
    let bytes = 0
    for await (const batch of walkContent(this.#components, nodes, isKnown, call)) {
      for (const record of batch) {
        reached.push(record)
        bytes += record.bytes
      }
    }
    return { bytes, reached }
  }

  /** Makes that live as well. */
  add({ reached, bytes }: ContentShare): void {
    for (const { kind, digest } of reached) this.#of(kind).add(digest)
    this.#bytes += bytes
  }

  has(kind: RecordKind, key: Uint8Array): boolean {
    return this.#of(kind).has(key)
  }

  #of(kind: RecordKind): DigestSet {
    if (kind === 'chunk') return this.#chunks
    return kind === 'directory' ? this.#directories : this.#blobs
  }
}
