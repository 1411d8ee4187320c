import type { Node } from '../castore/model/node.ts'
import type { Signature } from '../nix/signature.ts'
import { distinctSignatures, PathFacts, type PathFactsFields } from './path-facts.ts'

/** The facts about a store path, as they go into a {@link PathInfo}. */
export interface PathInfoFields extends PathFactsFields {
  /** The root of its content. */
  readonly node: Node
  /** Over the Nix fingerprint and the root node. */
  readonly rootSignatures?: readonly Signature[]
}

/** What is said about a store path, and the root of its content. */
export class PathInfo extends PathFacts {
  readonly node: Node
  readonly rootSignatures: readonly Signature[]

  /** @throws PathInfoError where a field breaks a rule */
  constructor(fields: PathInfoFields) {
    super(fields)
    this.node = fields.node
    this.rootSignatures = distinctSignatures(fields.rootSignatures ?? [])
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
