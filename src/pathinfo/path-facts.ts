import { compareBytes } from '../foundation/bytes.ts'
import type { Signature } from '../nix/signature.ts'
import type { StorePath } from '../nix/store-path.ts'
import { PathInfoError } from './path-info-error.ts'

/** What a narinfo says of a store path, as it goes into {@link PathFacts}. */
export interface PathFactsFields {
  readonly storePath: StorePath
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
}

/** Signatures kept of one kind on one path. */
export const SIGNATURES_MAX = 64

/** References kept of one path. Nix knows no limit; real closures stay far below. */
export const REFERENCES_MAX = 65_536

/**
 * What is said about a store path by who knows its NAR, but not the root of its content in a
 * castore. It proves nothing by itself: trust comes from its signatures. References are sorted,
 * each once.
 */
export class PathFacts {
  readonly storePath: StorePath
  readonly narSize: number
  readonly narSha256: Uint8Array
  readonly references: readonly StorePath[]
  readonly deriver: StorePath | undefined
  readonly ca: string | undefined
  readonly signatures: readonly Signature[]

  /** @throws PathInfoError where a field breaks a rule */
  constructor(fields: PathFactsFields) {
    if (!Number.isSafeInteger(fields.narSize) || fields.narSize <= 0) {
      throw badPathInfo(`the NAR size of ${fields.storePath} is more than 0, not ${fields.narSize}`)
    }
    if (fields.narSha256.length !== 32) throw badPathInfo('a NAR hash is a SHA-256 of 32 bytes')
    this.storePath = fields.storePath
    this.narSize = fields.narSize
    this.narSha256 = fields.narSha256
    this.references = sortedReferences(fields.references)
    this.deriver = fields.deriver
    this.ca = fields.ca
    this.signatures = distinctSignatures(fields.signatures ?? [])
  }
}

function sortedReferences(references: readonly StorePath[]): readonly StorePath[] {
  if (references.length > REFERENCES_MAX) {
    throw badPathInfo(`a path has at most ${REFERENCES_MAX} references, not ${references.length}`)
  }
  const byName = new Map(references.map((it) => [it.baseName, it]))
  return [...byName.values()].sort((a, b) =>
    compareBytes(Buffer.from(a.baseName), Buffer.from(b.baseName)),
  )
}

/** Each signature once. @throws PathInfoError where there are too many */
export function distinctSignatures(signatures: readonly Signature[]): readonly Signature[] {
  const key = ({ name, data }: Signature): string =>
    `${name}:${Buffer.from(data).toString('base64')}`
  const kept = [...new Map(signatures.map((it) => [key(it), it])).values()]
  if (kept.length > SIGNATURES_MAX) {
    throw badPathInfo(`a path has at most ${SIGNATURES_MAX} signatures, not ${kept.length}`)
  }
  return kept
}

function badPathInfo(what: string): PathInfoError {
  return new PathInfoError({ code: 'bad-path-info', what }, what)
}
