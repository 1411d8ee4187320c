import type { Node } from '../castore/model/node.ts'
import { equalBytes } from '../foundation/bytes.ts'
import type { Call } from '../foundation/call.ts'
import type { Digest } from '../foundation/digest.ts'
import { COMPRESSIONS, type Compression } from '../nar/compression.ts'
import { NarError } from '../nar/nar-error.ts'
import { narSizeOf } from '../nar/nar-size.ts'
import { type NarSource, renderNar } from '../nar/render-nar.ts'
import { NixError } from '../nix/nix-error.ts'
import { parseStorePathHash } from '../nix/store-path.ts'
import type { PathFacts } from '../pathinfo/path-facts.ts'
import { PathInfo } from '../pathinfo/path-info.ts'
import { type ReadAccess, reachesRoot } from '../pathinfo/read-access.ts'
import { NarArrival } from '../substitution/nar-arrival.ts'
import { SubstitutionError } from '../substitution/substitution-error.ts'
import type { ByteRange } from './byte-range.ts'
import type { RouteComponents } from './gateway-components.ts'
import { absent, badRequest } from './gateway-error.ts'
import { isTold } from './reading.ts'
import { rootKey } from './whole-roots.ts'

/** A NAR that can be served, and in which form its client expects it. */
export interface FoundNar {
  /** What its bytes are known by. */
  readonly key: string
  readonly narSize: number
  readonly compression: Compression
  /** The NAR, or a part of it. */
  nar(range: ByteRange | undefined, call: Call): AsyncIterable<Uint8Array>
  /** Whether any part can be read as it is; otherwise parts come from elsewhere, one by one. */
  readonly isHeld: boolean
  /** The file as it was uploaded, where it is kept. */
  readonly kept?: { readonly digest: Digest; readonly size: number } | undefined
  /** Whether its URL is made of what it holds, and will hold the same for ever. */
  readonly isImmutable: boolean
}

interface Finder
  extends Pick<
    RouteComponents,
    'castore' | 'contents' | 'uploads' | 'substituter' | 'ahead' | 'pathInfos' | 'roots' | 'log'
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
  const nar = rendered(node, components.castore)
  return { key: rootKey(node), narSize, compression: 'none', nar, isHeld: true, isImmutable: true }
}

/** What is asked for, of which path, by a URL with this root or this NAR hash in it. */
export interface AskedNar {
  readonly hash: string
  readonly of: { readonly root: Node } | { readonly narSha256: Uint8Array }
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
  const { substituter, pathInfos, castore, contents, roots, access, log } = components
  const hash = pathHash(asked.hash)
  try {
    if (!(await isTold(hash, access, components, call))) return undefined
    if (asked.extent === 'whole') components.ahead.asked(hash)
    const held = await pathInfos.get(hash, call)
    const it = held ?? (await found(hash, asked, substituter, call))
    if (it === undefined) return undefined
    if (it instanceof NarArrival) return arriving(it, asked)
    if (!(it instanceof PathInfo)) return described(it, asked)
    const isHeld = held !== undefined || (await pathInfos.get(hash, call)) !== undefined
    if (isHeld && !(await roots.has(it.node, call))) throw absent('part of the NAR is missing')
    if (!isHeld && asked.extent === 'part') await checkSize(it, contents, call)
    const nar = rendered(it.node, isHeld ? castore : contents)
    return { ...identity(it, asked), nar, compression: 'none', isHeld }
  } catch (error) {
    if (!(error instanceof SubstitutionError || error instanceof NarError)) throw error
    // A peer's failure is never Nix's: it goes on to its next cache.
    log.warn('path could not be obtained', { hash: asked.hash, error })
    throw absent(`${asked.hash} could not be had`)
  }
}

async function found(
  hash: Uint8Array,
  { extent, of }: AskedNar,
  substituter: Finder['substituter'],
  call: Call,
): Promise<PathFacts | NarArrival | undefined> {
  switch (extent) {
    case 'head':
      return await substituter.describe(hash, call)
    case 'part':
      // Where only the NAR's hash was told, no root was known that somebody trusted has signed.
      if ('root' in of) return await substituter.resolve(hash, call)
      return await substituter.receive(hash, call)
    case 'whole':
      return await substituter.receive(hash, call)
  }
}

/**
 * What a NAR is known by under the URL that was given out for it. @throws GatewayError 'absent'
 * where the URL names another NAR
 */
function identity(
  facts: PathFacts,
  { of }: AskedNar,
): Pick<FoundNar, 'key' | 'narSize' | 'isImmutable'> {
  const { narSize, narSha256 } = facts
  if ('narSha256' in of) {
    if (!equalBytes(of.narSha256, narSha256)) throw absent('the path has another NAR by now')
    return { key: Buffer.from(narSha256).toString('hex'), narSize, isImmutable: true }
  }
  if (!(facts instanceof PathInfo)) {
    return { key: Buffer.from(narSha256).toString('hex'), narSize, isImmutable: false }
  }
  const key = rootKey(facts.node)
  return { key, narSize, isImmutable: key === rootKey(of.root) }
}

/** A NAR that is on its way here: it is passed on as it comes. */
function arriving(arrival: NarArrival, asked: AskedNar): FoundNar {
  const shared = { ...identity(arrival.facts, asked), compression: 'none', isHeld: true } as const
  return { ...shared, nar: (range, call) => arrival.read(call, range) }
}

/** A NAR that is not here, for who asks no more than how long it is. */
function described(facts: PathFacts, asked: AskedNar): FoundNar {
  const shared = { ...identity(facts, asked), compression: 'none', isHeld: false } as const
  return {
    ...shared,
    nar: () => {
      throw absent('no such NAR here')
    },
  }
}

function rendered(node: Node, contents: NarSource): FoundNar['nar'] {
  return (range, call) => renderNar(node, contents, call, range)
}

/** A NAR is never longer or shorter than it was said to be, not even by who signs its root. */
async function checkSize(
  { node, narSize }: PathInfo,
  contents: NarSource,
  call: Call,
): Promise<void> {
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
  const shared = { key: rootKey(node), isHeld: true, isImmutable: false }
  return { narSize, compression, kept, nar: rendered(node, castore), ...shared }
}

function pathHash(text: string): Uint8Array {
  try {
    return parseStorePathHash(text)
  } catch (cause) {
    if (!(cause instanceof NixError)) throw cause
    throw badRequest(cause.message, cause)
  }
}
