import type { ChunkRef } from '../../castore/blob-store.ts'
import type { PeerLedger } from '../standing/peer-ledger.ts'
import type { SourcedLayout, WantedBlob } from './content-fetch-components.ts'
import type { HolderSet } from './holder-set.ts'

/**
 * The layouts of one fetch that led nowhere: they name chunks that nobody has. Their givers may
 * have made them up, so that others are asked; once the true layout is known, it shows who did.
 */
export class LayoutSuspects {
  readonly #byBlob = new Map<string, SourcedLayout[]>()

  add(sourced: SourcedLayout): void {
    const { hex } = sourced.blob.digest
    this.#byBlob.set(hex, [...this.#of(hex), sourced])
  }

  /** Whether that peer's layout of the blob has led nowhere. */
  has(blob: WantedBlob, peer: string): boolean {
    return this.#of(blob.digest.hex).some((sourced) => sourced.peer === peer)
  }

  /** Whether some holder could still give another layout of the blob. */
  leaves(blob: WantedBlob, holders: HolderSet, ledger: PeerLedger): boolean {
    return [...holders].some((peer) => !this.has(blob, peer) && ledger.standing(peer) !== 'banned')
  }

  /** The suspects that a layout that has led to the blob proves to be lies. */
  disprovedBy(truth: SourcedLayout): SourcedLayout[] {
    return this.#of(truth.blob.digest.hex).filter((it) => contradicts(truth.layout, it.layout))
  }

  #of(hex: string): SourcedLayout[] {
    return this.#byBlob.get(hex) ?? []
  }
}

/** Whether two layouts of one blob name different content for the same bytes of it. */
function contradicts(truth: readonly ChunkRef[], claimed: readonly ChunkRef[]): boolean {
  const digests = new Map<string, ChunkRef['digest']>()
  let at = 0
  for (const { digest, size } of truth) {
    digests.set(`${at}+${size}`, digest)
    at += size
  }
  at = 0
  for (const { digest, size } of claimed) {
    const right = digests.get(`${at}+${size}`)
    if (right !== undefined && !right.equals(digest)) return true
    at += size
  }
  return false
}
