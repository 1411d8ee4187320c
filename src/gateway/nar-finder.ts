import type { Node } from '../castore/model/node.ts'
import type { Call } from '../foundation/call.ts'
import type { Digest } from '../foundation/digest.ts'
import { COMPRESSIONS, type Compression } from '../nar/compression.ts'
import { NarError } from '../nar/nar-error.ts'
import { narSizeOf } from '../nar/nar-size.ts'
import type { NarSource } from '../nar/render-nar.ts'
import { NixError } from '../nix/nix-error.ts'
import { parseStorePathHash } from '../nix/store-path.ts'
import type { PathInfo } from '../pathinfo/path-info.ts'
import { type ReadAccess, reachesRoot } from '../pathinfo/read-access.ts'
import { SubstitutionError } from '../substitution/substitution-error.ts'
import type { RouteComponents } from './gateway-components.ts'
import { absent, badRequest } from './gateway-error.ts'
import { isTold } from './reading.ts'
import { rootKey } from './whole-roots.ts'

/** A NAR that can be served, and in which form its client expects it. */
export interface FoundNar {
  readonly node: Node
  readonly narSize: number
  readonly compression: Compression
  /** Where it is made from. */
  readonly contents: NarSource
  /** Whether it is here; otherwise parts of it come from elsewhere as they are read. */
  readonly isHeld: boolean
  /** The file as it was uploaded, where it is kept. */
  readonly kept?: { readonly digest: Digest; readonly size: number } | undefined
  /** Whether its URL is made of what it holds, and will hold the same for ever. */
  readonly isImmutable: boolean
}

interface Finder
  extends Pick<
    RouteComponents,
    'castore' | 'contents' | 'uploads' | 'substituter' | 'pathInfos' | 'roots' | 'log'
  > {
  /** What may be read by who asks. */
  readonly access: ReadAccess
}

/** What a castore root in a URL stands for. @throws GatewayError 'absent' where it is not here */
export async function narOfRoot(node: Node, components: Finder, call: Call): Promise<FoundNar> {
  const { access, roots } = components
  const isHere = reachesRoot(access, node) && (await roots.has(node, call))
  if (!isHere) throw absent('no such NAR here')
  const narSize = await narSizeOf(node, components.castore.directories, call)
  const contents = components.castore
  return { node, narSize, compression: 'none', contents, isHeld: true, isImmutable: true }
}

/** What is asked for, of which path, by a URL with this root in it. */
export interface AskedNar {
  readonly hash: string
  readonly root: Node
  /** Whether all that is wanted is to know of it, a part of it, or the whole. */
  readonly extent: 'head' | 'part' | 'whole'
}

/**
 * The NAR of the path that a URL was given out for; undefined where nobody has it. It is obtained
 * first where it is not here yet, but for two: HEAD is told what is claimed, and does not wait for
 * the content; a part is read from elsewhere, no more than that, where the path's root is signed.
 * The root may prove to be another than the URL's, when who claimed that one was lying: Nix is
 * given what was signed.
 * @throws GatewayError 'absent' where it can not be had
 */
export async function narOfPath(
  asked: AskedNar,
  components: Finder,
  call: Call,
): Promise<FoundNar | undefined> {
  const { substituter, pathInfos, roots, access, log } = components
  const hash = pathHash(asked.hash)
  try {
    if (!(await isTold(hash, access, components, call))) return undefined
    const held = await pathInfos.get(hash, call)
    const pathInfo = held ?? (await found(hash, asked.extent, substituter, call))
    if (pathInfo === undefined) return undefined
    const isHeld = held !== undefined || (await pathInfos.get(hash, call)) !== undefined
    const nar = narOf(pathInfo, asked, isHeld, components)
    if (isHeld) {
      if (await roots.has(nar.node, call)) return nar
      throw absent('part of the NAR is missing')
    }
    if (asked.extent === 'part') await checkSize(nar, call)
    return nar
  } catch (error) {
    if (!(error instanceof SubstitutionError || error instanceof NarError)) throw error
    // A peer's failure is never Nix's: it goes on to its next cache.
    log.warn('path could not be obtained', { hash: asked.hash, error })
    throw absent(`${asked.hash} could not be had`)
  }
}

async function found(
  hash: Uint8Array,
  extent: AskedNar['extent'],
  substituter: Finder['substituter'],
  call: Call,
): Promise<PathInfo | undefined> {
  switch (extent) {
    case 'head':
      return await substituter.describe(hash, call)
    case 'part':
      return await substituter.resolve(hash, call)
    case 'whole':
      return await substituter.obtain(hash, call)
  }
}

function narOf(
  { node, narSize }: PathInfo,
  asked: AskedNar,
  isHeld: boolean,
  { castore, contents }: Finder,
): FoundNar {
  const from = isHeld ? castore : contents
  const isImmutable = rootKey(node) === rootKey(asked.root)
  return { node, narSize, compression: 'none', contents: from, isHeld, isImmutable }
}

/** A NAR is never longer or shorter than it was said to be, not even by who signs its root. */
async function checkSize({ node, narSize, contents }: FoundNar, call: Call): Promise<void> {
  const size = await narSizeOf(node, contents.directories, call)
  if (size !== narSize) throw absent(`the NAR has ${size} bytes where ${narSize} were claimed`)
}

/**
 * An uploaded NAR, under the name of its file: who uploaded it remembers that, and how it was
 * compressed, for as long as any narinfo.
 * @throws GatewayError 'absent'
 */
export async function narOfFile(
  fileName: string,
  { uploads, roots, castore, access }: Finder,
  call: Call,
): Promise<FoundNar> {
  const uploaded = await uploads.getFile(fileName, call)
  const mayRead = uploaded !== undefined && reachesRoot(access, uploaded.node)
  if (!mayRead) throw absent('no such NAR here')
  const { node, narSize, file } = uploaded
  const compression = COMPRESSIONS.find((it) => it === uploaded.compression)
  if (compression === undefined || !(await roots.has(node, call))) throw absent('no such NAR here')
  const kept = file?.kept === undefined ? undefined : { digest: file.kept, size: file.fileSize }
  const shared = { contents: castore, isHeld: true, isImmutable: false }
  return { node, narSize, compression, kept, ...shared }
}

function pathHash(text: string): Uint8Array {
  try {
    return parseStorePathHash(text)
  } catch (cause) {
    if (!(cause instanceof NixError)) throw cause
    throw badRequest(cause.message, cause)
  }
}
