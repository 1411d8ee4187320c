import { encodeRoot } from '../castore/model/directory-codec.ts'
import { type Node, SymlinkNode } from '../castore/model/node.ts'
import { equalBytes } from '../foundation/bytes.ts'
import type { Call } from '../foundation/call.ts'
import { measureNar, type NarMeasure } from '../nar/measure-nar.ts'
import type { NarInfo } from '../nix/nar-info.ts'
import { encodeNixBase32 } from '../nix/nix-base32.ts'
import { PathInfo, type PathInfoFields } from '../pathinfo/path-info.ts'
import { PathInfoError } from '../pathinfo/path-info-error.ts'
import { reachesRoot } from '../pathinfo/read-access.ts'
import type { RouteComponents } from './gateway-components.ts'
import { badRequest } from './gateway-error.ts'
import { narLocation } from './nar-url.ts'
import { StrangerIntake } from './stranger-intake.ts'
import type { Writer } from './writer.ts'

/** Stands for a root where none is known yet: no signature of a narinfo is about it. */
const NO_ROOT = new SymlinkNode(new Uint8Array([0x2e]))

/** What a narinfo's URL was found to stand for. */
interface FoundContent extends NarMeasure {
  readonly node: Node
}

/**
 * Takes in a path whose content was uploaded before, or is held anyway. All that the narinfo says
 * of its NAR is held against what was measured here.
 * @throws GatewayError that says what does not fit
 */
export async function takeInNarInfo(
  info: NarInfo,
  writer: Writer,
  components: RouteComponents,
  call: Call,
): Promise<void> {
  const { intake, substituter, debugInfo, budget, log } = components
  const stranger = new StrangerIntake(components)
  const vouched = writer === 'stranger' ? (node: Node) => fieldsOf(info, node) : undefined
  const location = narLocation(info.url)
  await translated(async () => vouched && stranger.checkVoucher(vouched(NO_ROOT)))
  const mayKnow = knownTo(writer, info, components)
  const found =
    location.kind === 'file'
      ? await contentOfFile(info, location.name, { ...components, mayKnow }, call)
      : {
          node: location.node,
          narSize: location.narSize ?? info.narSize,
          narSha256: info.narSha256,
        }
  checkMeasure(info, found)
  // Who vouches is looked at before anything costly is done for a stranger.
  const claim = await translated(async () =>
    vouched === undefined ? undefined : await stranger.admit(vouched(found.node), call),
  )
  const measured =
    location.kind === 'file'
      ? found
      : await contentOfRoot(info, location.node, { ...components, mayKnow }, call)
  await debugInfo.add(new PathInfo(fieldsOf(info, found.node)), call)
  const shared = await translated(async () => {
    if (claim === undefined) return (await intake.take(fieldsOf(info, found.node), call)).shared
    await stranger.take(claim, measured, call)
    return true
  })
  budget.claimed(info.narSha256)
  substituter.forgetMisses()
  const { storePath, narSize } = info
  log.info('path taken in', { storePath, narSize, shared })
}

function fieldsOf(info: NarInfo, node: Node): PathInfoFields {
  const { storePath, narSize, narSha256, references, deriver, ca, signatures } = info
  return { storePath, narSize, narSha256, references, deriver, ca, signatures, node }
}

/**
 * Which roots a writer may know to be held: the owner all, others what is shared, and what would be
 * by the path that they bring.
 */
function knownTo(
  writer: Writer,
  info: NarInfo,
  { others }: Pick<RouteComponents, 'others'>,
): (root: Node) => boolean {
  const isShared = writer === 'owner' || others.shares(new PathInfo(fieldsOf(info, NO_ROOT)))
  return (root) => isShared || reachesRoot(others, root)
}

interface Lookup extends Pick<RouteComponents, 'uploads' | 'roots' | 'castore'> {
  mayKnow(root: Node): boolean
}

/** The content of a file that was uploaded before. */
async function contentOfFile(
  info: NarInfo,
  fileName: string,
  { uploads, roots, mayKnow }: Lookup,
  call: Call,
): Promise<FoundContent> {
  const found = await uploads.getFile(fileName, call)
  const uploaded = found !== undefined && mayKnow(found.node) ? found : undefined
  if (uploaded === undefined || !(await roots.has(uploaded.node, call))) {
    throw badRequest(`no NAR has been uploaded as nar/${fileName}: PUT it before its narinfo`)
  }
  const { compression, file } = uploaded
  if (info.compression !== compression) {
    const what = `nar/${fileName} is compressed by ${compression}`
    throw badRequest(`${what}, the narinfo says ${info.compression}`)
  }
  if (file !== undefined && info.fileSize !== undefined && info.fileSize !== file.fileSize) {
    const what = `nar/${fileName} has ${file.fileSize} bytes`
    throw badRequest(`${what}, the narinfo says FileSize ${info.fileSize}`)
  }
  const { fileHash } = info
  if (file !== undefined && fileHash?.algorithm === 'sha256') {
    if (!equalBytes(fileHash.bytes, file.fileSha256)) {
      const right = `sha256:${encodeNixBase32(file.fileSha256)}`
      throw badRequest(`nar/${fileName} has the FileHash ${right}, the narinfo says another`)
    }
  }
  return uploaded
}

/** The content below a root that is held, measured where nobody has done so yet. */
async function contentOfRoot(
  info: NarInfo,
  node: Node,
  { uploads, roots, castore, mayKnow }: Lookup,
  call: Call,
): Promise<FoundContent> {
  if (!mayKnow(node) || !(await roots.has(node, call))) {
    throw badRequest(`the content of ${info.storePath} is not held here: upload its NAR first`)
  }
  const known = await uploads.get(info.narSha256, call)
  const isKnown = known !== undefined && equalBytes(encodeRoot(known.node), encodeRoot(node))
  const found = isKnown ? known : { ...(await measureNar(node, castore, call)), node }
  checkMeasure(info, found)
  return found
}

function checkMeasure(info: NarInfo, found: NarMeasure): void {
  if (!equalBytes(found.narSha256, info.narSha256)) {
    const right = `sha256:${encodeNixBase32(found.narSha256)}`
    throw badRequest(`the NAR of ${info.storePath} has the NarHash ${right}`)
  }
  if (found.narSize !== info.narSize) {
    const what = `the NAR of ${info.storePath} has ${found.narSize} bytes`
    throw badRequest(`${what}, not NarSize ${info.narSize}`)
  }
}

async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (!(cause instanceof PathInfoError)) throw cause
    throw badRequest(cause.message, cause)
  }
}
