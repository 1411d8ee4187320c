import { createHash } from 'node:crypto'
import { encodeRoot } from '../castore/model/directory-codec.ts'
import { utf8Bytes } from '../foundation/bytes.ts'
import { nixFingerprint } from '../nix/fingerprint.ts'
import type { PathFacts } from './path-facts.ts'
import { PathInfo } from './path-info.ts'

/**
 * What our signature over the castore root covers: all that the Nix fingerprint does, and the root.
 * `cairn-root;1;<base64 of the encoded root node>;<Nix fingerprint>`. The leading word keeps it
 * apart from any Nix fingerprint, which begins with its version, so that neither signature can be
 * taken for the other.
 */
export function rootFingerprint(pathInfo: PathInfo): Uint8Array {
  const root = Buffer.from(encodeRoot(pathInfo.node)).toString('base64')
  return Buffer.concat([utf8Bytes(`cairn-root;1;${root};`), nixFingerprint(pathInfo)])
}

/** Equal for two PathInfos that say the same of a path, whoever signed them. */
export function contentIdentity(pathInfo: PathInfo): string {
  return createHash('sha256').update(rootFingerprint(pathInfo)).digest('base64')
}

/** Equal for two that say the same and bear the same signatures, in the same order. */
export function claimIdentity(facts: PathFacts): string {
  const isRooted = facts instanceof PathInfo
  const hash = createHash('sha256').update(
    isRooted ? rootFingerprint(facts) : nixFingerprint(facts),
  )
  for (const [kind, signatures] of [
    ['nix', facts.signatures],
    ['root', isRooted ? facts.rootSignatures : []],
  ] as const) {
    for (const { name, data } of signatures) hash.update(`;${kind}:${name}:`).update(data)
  }
  return hash.digest('base64')
}
