import type { Node } from '../castore/model/node.ts'
import { compareBytes } from '../foundation/bytes.ts'
import type { Signature } from '../nix/signature.ts'
import type { StorePath } from '../nix/store-path.ts'
import { PathInfoError } from './path-info-error.ts'

/** The facts about a store path, as they go into a {@link PathInfo}. */
export interface PathInfoFields {
  readonly storePath: StorePath
  /** The root of its content. */
  readonly node: Node
  /** Length of its NAR in bytes. */
  readonly narSize: number
  /** SHA-256 of its NAR, 32 bytes. */
  readonly narSha256: Uint8Array
  readonly references: readonly StorePath[]
  readonly deriver?: StorePath | undefined
  /** How the path is addressed by its content, in Nix's notation (`fixed:r:sha256:…`). */
  readonly ca?: string | undefined
  /** Over the Nix fingerprint: NAR hash, NAR size and references. */
  readonly signatures?: readonly Signature[]
  /** Over the same and the root node. */
  readonly rootSignatures?: readonly Signature[]
}

/** Signatures kept of one kind on one path. */
export const SIGNATURES_MAX = 64

/** References kept of one path. Nix knows no limit; real closures stay far below. */
export const REFERENCES_MAX = 65_536

/**
 * What is said about a store path. It proves nothing by itself: trust comes from its signatures.
 * References are sorted, each once.
 */
export class PathInfo {
  readonly storePath: StorePath
  readonly node: Node
  readonly narSize: number
  readonly narSha256: Uint8Array
  readonly references: readonly StorePath[]
  readonly deriver: StorePath | undefined
  readonly ca: string | undefined
  readonly signatures: readonly Signature[]
  readonly rootSignatures: readonly Signature[]

  /** @throws PathInfoError where a field breaks a rule */
  constructor(fields: PathInfoFields) {
    if (!Number.isSafeInteger(fields.narSize) || fields.narSize <= 0) {
      throw bad(`the NAR size of ${fields.storePath} is more than 0, not ${fields.narSize}`)
    }
    if (fields.narSha256.length !== 32) throw bad('a NAR hash is a SHA-256 of 32 bytes')
    this.storePath = fields.storePath
    this.node = fields.node
    this.narSize = fields.narSize
    this.narSha256 = fields.narSha256
    this.references = sortedReferences(fields.references)
    this.deriver = fields.deriver
    this.ca = fields.ca
    this.signatures = distinct(fields.signatures ?? [])
    this.rootSignatures = distinct(fields.rootSignatures ?? [])
  }

  /** The same path with more signatures. */
  withSignatures(
    signatures: readonly Signature[],
    rootSignatures: readonly Signature[] = [],
  ): PathInfo {
    return new PathInfo({
      ...this,
      signatures: [...this.signatures, ...signatures],
      rootSignatures: [...this.rootSignatures, ...rootSignatures],
    })
  }
}

function sortedReferences(references: readonly StorePath[]): readonly StorePath[] {
  if (references.length > REFERENCES_MAX) {
    throw bad(`a path has at most ${REFERENCES_MAX} references, not ${references.length}`)
  }
  const byName = new Map(references.map((it) => [it.baseName, it]))
  return [...byName.values()].sort((a, b) =>
    compareBytes(Buffer.from(a.baseName), Buffer.from(b.baseName)),
  )
}

function distinct(signatures: readonly Signature[]): readonly Signature[] {
  const key = ({ name, data }: Signature): string =>
    `${name}:${Buffer.from(data).toString('base64')}`
  const kept = [...new Map(signatures.map((it) => [key(it), it])).values()]
  if (kept.length > SIGNATURES_MAX) {
    throw bad(`a path has at most ${SIGNATURES_MAX} signatures, not ${kept.length}`)
  }
  return kept
}

function bad(what: string): PathInfoError {
  return new PathInfoError({ code: 'bad-path-info', what }, what)
}
