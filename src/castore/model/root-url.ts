import { CastoreError, invalid } from '../castore-error.ts'
import { decodeRoot, encodeRoot } from './directory-codec.ts'
import type { Node } from './node.ts'

/** Characters of the longest root in a URL: a symlink's target with all that is around it. */
export const ROOT_LENGTH_MAX = 6000

/** What the URL of a NAR says that names the root of its content. */
export interface NamedRoot {
  readonly node: Node
  /** Length of the NAR in bytes, where it says that. */
  readonly narSize: number | undefined
}

/** A root as snix and tvix write it in a URL: its message, in unpadded base64url. */
export function encodeUrlRoot(node: Node): string {
  return Buffer.from(encodeRoot(node)).toString('base64url')
}

/** Reads {@link encodeUrlRoot}'s text. @throws CastoreError 'invalid' */
export function decodeUrlRoot(segment: string): Node {
  if (segment.length > ROOT_LENGTH_MAX || !/^[A-Za-z0-9_-]+$/.test(segment)) {
    throw invalid('a castore root in a URL is unpadded base64url')
  }
  try {
    return decodeRoot(Buffer.from(segment, 'base64url'))
  } catch (cause) {
    if (!(cause instanceof CastoreError)) throw cause
    const what = `no castore root: ${cause.message}`
    throw new CastoreError({ code: 'invalid', what }, what, { cause })
  }
}

/**
 * The root that the URL of a NAR names, relative to its cache:
 * `nar/snix-castore/<root>?narsize=<bytes>`, or `tvix-castore`. Undefined for any other URL.
 * @throws CastoreError 'invalid' where it has that form, and what it names is no root or no size
 */
export function rootOfNarUrl(url: string): NamedRoot | undefined {
  const [, root, query] = /^nar\/(?:snix|tvix)-castore\/([^/?#]+)(?:\?([^#]*))?$/.exec(url) ?? []
  if (root === undefined) return undefined
  const narSize = new URLSearchParams(query ?? '').get('narsize')
  if (narSize !== null && !/^\d{1,16}$/.test(narSize)) {
    throw invalid('the narsize in the URL of a narinfo is a number of bytes')
  }
  const node = decodeUrlRoot(root)
  return { node, narSize: narSize === null ? undefined : Number(narSize) }
}
