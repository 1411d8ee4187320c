import type { DirectorySource } from '../castore/directory-store.ts'
import type { Entry } from '../castore/model/directory.ts'
import type { DirectoryNode, Node } from '../castore/model/node.ts'
import type { Call } from '../foundation/call.ts'
import { DirectoryTree } from './directory-tree.ts'
import { malformed, tooDeep } from './nar-error.ts'
import {
  DIRECTORY_HEAD,
  ENTRY_TAIL,
  entryHead,
  fileHead,
  fileTail,
  NAR_LEVELS_MAX,
  NAR_MAGIC,
  NODE_TAIL,
  stringBytes,
  symlinkNode,
} from './nar-writer.ts'

const NONE = new Uint8Array(0)
const EMPTY_STRING_BYTES = stringBytes(0)
const ENTRY_BYTES = entryHead(NONE).length - EMPTY_STRING_BYTES + ENTRY_TAIL.length
const FILE_BYTES = fileHead(0, false).length + fileTail(0).length - EMPTY_STRING_BYTES
const EXECUTABLE_BYTES = fileHead(0, true).length + fileTail(0).length - EMPTY_STRING_BYTES
const SYMLINK_BYTES = symlinkNode(NONE).length - EMPTY_STRING_BYTES
const DIRECTORY_BYTES = DIRECTORY_HEAD.length + NODE_TAIL.length

/**
 * Length in bytes of a node's NAR, by arithmetic over its Directories: no blob is read.
 * @throws NarError where a Directory is missing, or the length is beyond 2^53 - 1
 */
export async function narSizeOf(
  node: Node,
  directories: Pick<DirectorySource, 'closure'>,
  call: Call,
): Promise<number> {
  await using tree = new DirectoryTree(directories, node, call)
  await tree.load()
  return NAR_MAGIC.length + new NodeSizes(tree).nodeBytes(node)
}

/** Lengths of nodes in a NAR; each Directory is added up once, however often it occurs. */
export class NodeSizes {
  readonly #tree: Pick<DirectoryTree, 'loaded'>
  readonly #known = new Map<string, { readonly bytes: number; readonly levels: number }>()

  /** Takes a tree that is loaded whole. */
  constructor(tree: Pick<DirectoryTree, 'loaded'>) {
    this.#tree = tree
  }

  /** Length in bytes of a node, from its opening to its closing parenthesis. @throws NarError */
  nodeBytes(node: Node): number {
    return this.#measure(node, 1).bytes
  }

  /** Length in bytes of an entry with its node. @throws NarError */
  entryBytes(entry: Entry): number {
    return this.#measureEntry(entry, 1).bytes
  }

  #measureEntry({ name, node }: Entry, level: number): { bytes: number; levels: number } {
    const { bytes, levels } = this.#measure(node, level)
    return { bytes: checked(ENTRY_BYTES + stringBytes(name.length) + bytes), levels }
  }

  /** The length of a node at that level, and of how many levels it is, itself included. */
  #measure(node: Node, level: number): { bytes: number; levels: number } {
    switch (node.type) {
      case 'file': {
        const around = node.executable ? EXECUTABLE_BYTES : FILE_BYTES
        return { bytes: checked(around + stringBytes(node.size)), levels: 1 }
      }
      case 'symlink':
        return { bytes: SYMLINK_BYTES + stringBytes(node.target.length), levels: 1 }
      case 'directory':
        return this.#measureDirectory(node, level)
    }
  }

  #measureDirectory(node: DirectoryNode, level: number): { bytes: number; levels: number } {
    let measured = this.#known.get(node.digest.hex)
    if (measured === undefined) {
      let bytes = DIRECTORY_BYTES
      let levels = 1
      for (const entry of this.#tree.loaded(node).entries) {
        if (level >= NAR_LEVELS_MAX) throw tooDeep(0)
        const inner = this.#measureEntry(entry, level + 1)
        bytes += inner.bytes
        levels = Math.max(levels, inner.levels + 1)
      }
      measured = { bytes: checked(bytes), levels }
      this.#known.set(node.digest.hex, measured)
    }
    if (level + measured.levels - 1 > NAR_LEVELS_MAX) throw tooDeep(0)
    return measured
  }
}

function checked(bytes: number): number {
  if (Number.isSafeInteger(bytes)) return bytes
  throw malformed('too-large', 0, 'it would have more than 2^53 - 1 bytes')
}
