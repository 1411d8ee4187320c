import { CastoreError } from '../castore/castore-error.ts'
import type { Node } from '../castore/model/node.ts'
import {
  decodeUrlRoot,
  encodeUrlRoot,
  type NamedRoot,
  rootOfNarUrl,
} from '../castore/model/root-url.ts'
import { decodeNixBase32, encodeNixBase32 } from '../nix/nix-base32.ts'
import { NixError } from '../nix/nix-error.ts'
import type { PathFacts } from '../pathinfo/path-facts.ts'
import { PathInfo } from '../pathinfo/path-info.ts'
import { absent, badRequest } from './gateway-error.ts'
import { narFileName } from './nar-file-name.ts'

/** Where a narinfo says that its NAR is. */
export type NarLocation =
  | ({ readonly kind: 'root' } & NamedRoot)
  | { readonly kind: 'file'; readonly name: string }

/**
 * The URL of a path's NAR, relative to the cache:
 * `nar/snix-castore/<root>?narsize=<bytes>&path=<hash>`, as snix's nar-bridge writes it but for the
 * path. It is made from content alone, so it stays good for as long as clients remember it; the
 * path says what to obtain where the root is not here, and where it was but claimed to be the
 * path's.
 */
export function narUrl(facts: PathFacts): string {
  if (!(facts instanceof PathInfo)) return narHashUrl(facts)
  const { node, narSize, storePath } = facts
  return `nar/snix-castore/${encodeUrlRoot(node)}?narsize=${narSize}&path=${storePath.hashText}`
}

/**
 * The URL of the NAR of a path whose root is not known, because only a cache has it:
 * `nar/<NAR hash>.nar?path=<hash>`.
 */
function narHashUrl({ narSha256, storePath }: PathFacts): string {
  return `nar/${encodeNixBase32(narSha256)}.nar?path=${storePath.hashText}`
}

/** The hash of the NAR that such a URL names. @throws GatewayError 'absent' for any other */
export function narHashOfUrl(fileName: string): Uint8Array {
  const [, hash] = /^([0-9a-z]{52})\.nar$/.exec(fileName) ?? []
  try {
    if (hash !== undefined) return decodeNixBase32(hash, 32)
  } catch (cause) {
    if (!(cause instanceof NixError)) throw cause
  }
  throw absent('no such NAR here')
}

/**
 * What the URL of an uploaded narinfo names: a file below `nar/`, or a castore root as snix and
 * tvix write it. @throws GatewayError 'bad-request' for any other URL
 */
export function narLocation(url: string): NarLocation {
  const [, file] = /^nar\/([^/?#]+)$/.exec(url) ?? []
  if (file !== undefined) return { kind: 'file', name: narFileName(file) }
  const named = translated(() => rootOfNarUrl(url))
  if (named !== undefined) return { kind: 'root', ...named }
  const right = '"nar/<file>" or "nar/snix-castore/<root>", relative to this cache'
  throw badRequest(`the URL of a narinfo is ${right}, not ${JSON.stringify(url.slice(0, 200))}`)
}

/** The root that such a URL names. @throws GatewayError 'bad-request' */
export function rootOfUrl(segment: string): Node {
  return translated(() => decodeUrlRoot(segment))
}

function translated<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (!(cause instanceof CastoreError)) throw cause
    throw badRequest(cause.message, cause)
  }
}
