import type { DirectorySource } from '../castore/directory-store.ts'
import type { Entry } from '../castore/model/directory.ts'
import type { FileNode, Node } from '../castore/model/node.ts'
import { printableBytes, utf8Text } from '../foundation/bytes.ts'
import type { Call } from '../foundation/call.ts'
import { DirectoryTree } from './directory-tree.ts'
import { NarError, tooDeep } from './nar-error.ts'
import {
  DIRECTORY_HEAD,
  ENTRY_TAIL,
  entryHead,
  fileHead,
  fileTail,
  NAR_LEVELS_MAX,
  NAR_MAGIC,
  NODE_TAIL,
  symlinkNode,
} from './nar-writer.ts'

/** How many entries a tree has at the most to be listed; the largest real ones have 300,000. */
export const LISTING_ENTRIES_MAX = 4 * 1024 * 1024

/** Parts of a listing are put together into pieces of so many characters. */
const PIECE_LENGTH = 64 * 1024

/** A listing that is ready to be written: all Directories that it takes have come. */
export interface NarListing {
  /** The text, in pieces; made as it is read. */
  pieces(): Iterable<string>
}

/**
 * The listing of a node's NAR, as Nix writes it to `<hash>.ls`: `{"root":…,"version":1}`, with the
 * sizes of files and where in the NAR their contents begin. It takes Directories alone, no blob.
 * Names and targets that are no UTF-8 can not stand in JSON: Nix 2.8 writes their bytes all the
 * same, later ones fail. Here the bytes that are not printable stand as `\xNN`.
 * @throws NarError where a Directory is missing, or the tree is too large or too deep
 */
export async function narListing(
  root: Node,
  directories: Pick<DirectorySource, 'closure'>,
  call: Call,
  init: { readonly entriesMax?: number } = {},
): Promise<NarListing> {
  const entriesMax = init.entriesMax ?? LISTING_ENTRIES_MAX
  if (root.type === 'directory' && root.size > entriesMax) {
    const what = `it has ${root.size} entries, more than the ${entriesMax} that are listed`
    throw new NarError({ code: 'too-large', offset: 0 }, what)
  }
  await using tree = new DirectoryTree(directories, root, call)
  await tree.load()
  return { pieces: () => gathered(partsOf(root, tree)) }
}

interface OpenDirectory {
  readonly entries: readonly Entry[]
  next: number
}

function* partsOf(root: Node, tree: DirectoryTree): Generator<string> {
  const open: OpenDirectory[] = []
  let at = NAR_MAGIC.length // where in the NAR we are

  const begin = (node: Node): string => {
    switch (node.type) {
      case 'directory':
        at += DIRECTORY_HEAD.length
        open.push({ entries: tree.loaded(node).entries, next: 0 })
        return '{"entries":{'
      case 'symlink':
        at += symlinkNode(node.target).length
        return `{"target":${quoted(node.target)},"type":"symlink"}`
      case 'file': {
        at += fileHead(node.size, node.executable).length
        const text = fileText(node, at)
        at += node.size + fileTail(node.size).length
        return text
      }
    }
  }

  yield '{"root":'
  yield begin(root)
  for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
    const entry = top.entries[top.next++]
    if (entry === undefined) {
      open.pop()
      at += NODE_TAIL.length + (open.length > 0 ? ENTRY_TAIL.length : 0)
      yield '},"type":"directory"}'
      continue
    }
    if (open.length >= NAR_LEVELS_MAX) throw tooDeep(at)
    at += entryHead(entry.name).length
    yield `${top.next === 1 ? '' : ','}${quoted(entry.name)}:`
    yield begin(entry.node)
    if (entry.node.type !== 'directory') at += ENTRY_TAIL.length
  }
  yield ',"version":1}'
}

function fileText({ size, executable }: FileNode, narOffset: number): string {
  const mode = executable ? '"executable":true,' : ''
  return `{${mode}"narOffset":${narOffset},"size":${size},"type":"regular"}`
}

function quoted(bytes: Uint8Array): string {
  return JSON.stringify(utf8Text(bytes) ?? printableBytes(bytes))
}

function* gathered(parts: Iterable<string>): Generator<string> {
  let piece = ''
  for (const part of parts) {
    piece += part
    if (piece.length < PIECE_LENGTH) continue
    yield piece
    piece = ''
  }
  if (piece !== '') yield piece
}
