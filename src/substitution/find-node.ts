import type { DirectorySource } from '../castore/directory-store.ts'
import type { Node } from '../castore/model/node.ts'
import { equalBytes, printableBytes, utf8Bytes } from '../foundation/bytes.ts'
import type { Call } from '../foundation/call.ts'
import type { PathInStore } from '../nix/path-in-store.ts'
import { type PlaceFault, SubstitutionError } from './substitution-error.ts'

/** How many symlinks are followed on the way to one place: as many as Linux follows. */
export const LINKS_MAX = 40

const SLASH = 0x2f
const DOT = utf8Bytes('.')
const DOT_DOT = utf8Bytes('..')

/** Where to go, and what to do at the end of the way. */
export interface Place extends PathInStore {
  /** Whether a symlink in the last place is followed, too. */
  readonly followLast: boolean
}

/**
 * Goes from a store path's root to a place in it. Symlinks are followed within the store path,
 * where they are relative or name it; none leads anywhere else.
 * @throws SubstitutionError with a {@link PlaceFault}, or 'content-missing'
 */
export async function findNode(
  root: Node,
  place: Place,
  directories: Pick<DirectorySource, 'get'>,
  call: Call,
): Promise<Node> {
  const home = utf8Bytes(place.storePath.toString())
  const trail = [root]
  const left = namesOf(place.inside).reverse()
  let links = 0
  const follow = (target: Uint8Array): void => {
    if (++links > LINKS_MAX) throw placeError('link-loop', place, 'symlinks that never end')
    const isAbsolute = target[0] === SLASH
    const isHome = isAbsolute && isBelow(target, home)
    if (isAbsolute && !isHome) throw leadsOutside(place, target)
    if (isHome) trail.length = 1
    left.push(...namesOf(isHome ? target.subarray(home.length) : target).reverse())
  }
  if (root.type === 'symlink' && (left.length > 0 || place.followLast)) {
    // What it is relative to is the store itself.
    throw leadsOutside(place, root.target)
  }
  for (let name = left.pop(); name !== undefined; name = left.pop()) {
    if (equalBytes(name, DOT_DOT)) {
      if (trail.length === 1) throw leadsOutside(place, DOT_DOT)
      trail.pop()
      continue
    }
    const node = await entryOf(trail.at(-1)!, name, place, directories, call)
    const isFollowed = node.type === 'symlink' && (left.length > 0 || place.followLast)
    if (isFollowed) follow(node.target)
    else trail.push(node)
  }
  return trail.at(-1)!
}

/** The error for a place; the words say what is wrong with it. */
export function placeError(
  code: PlaceFault['code'],
  place: PathInStore,
  what: string,
): SubstitutionError {
  const path = textOf(place)
  return new SubstitutionError({ code, path }, `${path}: ${what}`)
}

/** The error for a place of which the content can not be had. */
export function contentMissing(
  place: PathInStore,
  what: string,
  cause?: unknown,
): SubstitutionError {
  const path = textOf(place)
  const fault = { code: 'content-missing', what: path } as const
  return new SubstitutionError(fault, `${path}: ${what}`, cause === undefined ? {} : { cause })
}

function textOf({ storePath, inside }: PathInStore): string {
  return `${storePath}${printableBytes(inside)}`
}

async function entryOf(
  top: Node,
  name: Uint8Array,
  place: Place,
  directories: Pick<DirectorySource, 'get'>,
  call: Call,
): Promise<Node> {
  const shown = printableBytes(name)
  if (top.type !== 'directory') {
    throw placeError('no-directory', place, `what is before ${shown} is no directory`)
  }
  const directory = await directories.get(top.digest, call)
  if (directory === undefined) {
    const what = `directory ${top.digest} of it is neither here nor to be had`
    throw contentMissing(place, what)
  }
  const node = directory.get(name)
  if (node === undefined) throw placeError('name-absent', place, `there is no ${shown} in it`)
  return node
}

function leadsOutside(place: Place, target: Uint8Array): SubstitutionError {
  const what = `${printableBytes(target)} leads out of the store path, and is not followed`
  return placeError('leads-outside', place, what)
}

/** The names in a path, without what means nothing. */
function namesOf(path: Uint8Array): Uint8Array[] {
  const names: Uint8Array[] = []
  for (let at = 0; at < path.length; ) {
    const slash = path.indexOf(SLASH, at)
    const end = slash < 0 ? path.length : slash
    const name = path.subarray(at, end)
    if (name.length > 0 && !equalBytes(name, DOT)) names.push(name)
    at = end + 1
  }
  return names
}

function isBelow(target: Uint8Array, home: Uint8Array): boolean {
  if (!equalBytes(target.subarray(0, home.length), home)) return false
  return target.length === home.length || target[home.length] === SLASH
}
