import type { DirectorySource } from '../castore/directory-store.ts'
import type { Entry } from '../castore/model/directory.ts'
import type { Node } from '../castore/model/node.ts'
import { utf8Bytes, utf8Text } from '../foundation/bytes.ts'
import type { Call } from '../foundation/call.ts'

/** Where the debug info of separate files is in a store path. */
const BUILD_ID_PATH = ['lib', 'debug', '.build-id']

/** How many links are made of one path; the largest real ones have some thousands. */
export const DEBUG_LINKS_MAX = 16_384

/** A file with debug info: what it belongs to, and where in its path it is. */
export interface DebugInfoLink {
  /** The build ID of the program, hexadecimal. */
  readonly buildId: string
  /** `lib/debug/.build-id/xx/yyyy.debug`. */
  readonly member: string
}

/** The debug info in a path, by the names that Nix's index-debug-info looks for; mostly none. */
export async function debugInfoOf(
  root: Node,
  directories: Pick<DirectorySource, 'get'>,
  call: Call,
): Promise<DebugInfoLink[]> {
  let node: Node | undefined = root
  for (const name of BUILD_ID_PATH) {
    if (node?.type !== 'directory') return []
    node = (await directories.get(node.digest, call))?.get(utf8Bytes(name))
  }
  const links: DebugInfoLink[] = []
  for (const { name: first, node: inner } of await entriesOf(node, directories, call)) {
    const begin = utf8Text(first) ?? ''
    if (!/^[0-9a-f]{2}$/.test(begin)) continue
    for (const { name, node: file } of await entriesOf(inner, directories, call)) {
      const [, end] = /^([0-9a-f]{38})\.debug$/.exec(utf8Text(name) ?? '') ?? []
      if (end === undefined || file.type !== 'file') continue
      if (links.length >= DEBUG_LINKS_MAX) return links
      const member = `${BUILD_ID_PATH.join('/')}/${begin}/${end}.debug`
      links.push({ buildId: `${begin}${end}`, member })
    }
  }
  return links
}

async function entriesOf(
  node: Node | undefined,
  directories: Pick<DirectorySource, 'get'>,
  call: Call,
): Promise<readonly Entry[]> {
  if (node?.type !== 'directory') return []
  return (await directories.get(node.digest, call))?.entries ?? []
}
