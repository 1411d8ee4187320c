import type { Node } from '../castore/model/node.ts'
import type { Call } from '../foundation/call.ts'
import type { Digest } from '../foundation/digest.ts'
import { COMPRESSIONS, type Compression } from '../nar/compression.ts'
import { narSizeOf } from '../nar/nar-size.ts'
import { NixError } from '../nix/nix-error.ts'
import { parseStorePathHash } from '../nix/store-path.ts'
import { SubstitutionError } from '../substitution/substitution-error.ts'
import type { RouteComponents } from './gateway-components.ts'
import { absent, badRequest } from './gateway-error.ts'
import { rootKey } from './whole-roots.ts'

/** A NAR that can be served, and in which form its client expects it. */
export interface FoundNar {
  readonly node: Node
  readonly narSize: number
  readonly compression: Compression
  /** The file as it was uploaded, where it is kept. */
  readonly kept?: { readonly digest: Digest; readonly size: number } | undefined
  /** Whether its URL is made of what it holds, and will hold the same for ever. */
  readonly isImmutable: boolean
}

type Finder = Pick<
  RouteComponents,
  'castore' | 'uploads' | 'substituter' | 'pathInfos' | 'roots' | 'log'
>

/** What a castore root in a URL stands for. @throws GatewayError 'absent' where it is not here */
export async function narOfRoot(node: Node, components: Finder, call: Call): Promise<FoundNar> {
  if (!(await components.roots.has(node, call))) throw absent('no such NAR here')
  const narSize = await narSizeOf(node, components.castore.directories, call)
  return { node, narSize, compression: 'none', isImmutable: true }
}

/**
 * The NAR of the path that a URL was given out for, obtained first where it is not here yet;
 * undefined where nobody has it. Its root may prove to be another than the URL's, when who claimed
 * that one was lying: Nix is given what was signed.
 * @throws GatewayError 'absent' where it can not be had
 */
export async function narOfPath(
  asked: { readonly hash: string; readonly root: Node; readonly isHead: boolean },
  { substituter, pathInfos, roots, log }: Finder,
  call: Call,
): Promise<FoundNar | undefined> {
  const hash = pathHash(asked.hash)
  const held = await pathInfos.get(hash, call)
  try {
    // What only a neighbour has is described to HEAD, which does not wait for its content.
    const isElsewhere = asked.isHead && held === undefined
    const pathInfo = isElsewhere
      ? await substituter.describe(hash, call)
      : (held ?? (await substituter.obtain(hash, call)))
    if (pathInfo === undefined) return undefined
    const { node, narSize } = pathInfo
    if (!isElsewhere && !(await roots.has(node, call))) throw absent('part of the NAR is missing')
    const isImmutable = rootKey(node) === rootKey(asked.root)
    return { node, narSize, compression: 'none', isImmutable }
  } catch (error) {
    if (!(error instanceof SubstitutionError)) throw error
    // A peer's failure is never Nix's: it goes on to its next cache.
    log.warn('path could not be obtained', { hash: asked.hash, error })
    throw absent(`${asked.hash} could not be had`)
  }
}

/**
 * An uploaded NAR, under the name of its file: who uploaded it remembers that, and how it was
 * compressed, for as long as any narinfo.
 * @throws GatewayError 'absent'
 */
export async function narOfFile(
  fileName: string,
  { uploads, roots }: Finder,
  call: Call,
): Promise<FoundNar> {
  const uploaded = await uploads.getFile(fileName, call)
  if (uploaded === undefined) throw absent('no such NAR here')
  const { node, narSize, file } = uploaded
  const compression = COMPRESSIONS.find((it) => it === uploaded.compression)
  if (compression === undefined || !(await roots.has(node, call))) throw absent('no such NAR here')
  const kept = file?.kept === undefined ? undefined : { digest: file.kept, size: file.fileSize }
  return { node, narSize, compression, kept, isImmutable: false }
}

function pathHash(text: string): Uint8Array {
  try {
    return parseStorePathHash(text)
  } catch (cause) {
    if (!(cause instanceof NixError)) throw cause
    throw badRequest(cause.message, cause)
  }
}
