import { EMPTY_BLOB } from '../castore/blob-store.ts'
import type { Entry } from '../castore/model/directory.ts'
import type { DirectoryNode, FileNode, Node } from '../castore/model/node.ts'
import type { DirectoryTree } from './directory-tree.ts'
import { tooDeep, wrongSize } from './nar-error.ts'
import { NodeSizes } from './nar-size.ts'
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

/** How many files one window of a plan has at the most. */
const WINDOW_FILES_MAX = 512

/** With this many bytes of content, a window of a plan is full. */
const WINDOW_BYTES = 8 * 1024 * 1024

/** How many parts one window of a plan has at the most, tokens included. */
const WINDOW_PARTS_MAX = 4096

/** Bytes `from` to `to` of a file's content. */
export interface FileRange {
  readonly file: FileNode
  readonly from: number
  readonly to: number
}

/** What a NAR is put together of: bytes that are known already, and content yet to be read. */
export type NarPart = Uint8Array | FileRange

/** Bytes of a NAR, `from` being the first and `to` the first not wanted. */
export interface NarRange {
  readonly from: number
  readonly to: number
}

/**
 * Plans bytes of a node's NAR, in windows that are small enough to look up and read at once. What
 * lies before the range is passed over by arithmetic.
 * @throws NarError where a Directory is missing, or the tree is deeper than Nix takes
 */
export async function* planNar(
  root: Node,
  tree: DirectoryTree,
  range: NarRange,
): AsyncGenerator<readonly NarPart[]> {
  if (range.from > 0) await tree.load()
  const sizes = new NodeSizes(tree)
  const window = new Window(range)
  const open: { readonly entries: readonly Entry[]; next: number }[] = []

  const enter = async (node: DirectoryNode): Promise<void> => {
    const { entries } = tree.peek(node) ?? (await tree.get(node))
    window.token(DIRECTORY_HEAD)
    open.push({ entries, next: 0 })
  }

  window.token(NAR_MAGIC)
  if (root.type === 'directory') await enter(root)
  else window.leaf(root)
  for (let top = open.at(-1); top !== undefined && !window.isPast; top = open.at(-1)) {
    const entry = top.entries[top.next++]
    if (entry === undefined) {
      open.pop()
      window.token(NODE_TAIL)
      if (open.length > 0) window.token(ENTRY_TAIL)
    } else if (!window.passes(() => sizes.entryBytes(entry))) {
      const { name, node } = entry
      if (open.length >= NAR_LEVELS_MAX) throw tooDeep(window.at)
      window.token(entryHead(name))
      if (node.type === 'directory') {
        await enter(node)
      } else {
        window.leaf(node)
        window.token(ENTRY_TAIL)
      }
    }
    if (window.isFull) yield window.take()
  }
  yield window.take()
}

/** Gathers those parts of a NAR that lie within a range. */
class Window {
  /** How far in the NAR we are, in bytes. */
  at = 0
  readonly #range: NarRange
  #parts: NarPart[] = []
  #files = 0
  #bytes = 0

  constructor(range: NarRange) {
    this.#range = range
  }

  get isPast(): boolean {
    return this.at >= this.#range.to
  }

  get isFull(): boolean {
    return (
      this.#files >= WINDOW_FILES_MAX ||
      this.#bytes >= WINDOW_BYTES ||
      this.#parts.length >= WINDOW_PARTS_MAX
    )
  }

  /** Whether so many bytes lie before the range; then they are passed over. */
  passes(bytes: () => number): boolean {
    if (this.at >= this.#range.from) return false
    const end = this.at + bytes()
    if (end > this.#range.from) return false
    this.at = end
    return true
  }

  token(bytes: Uint8Array): void {
    const { from, to } = this.#advance(bytes.length)
    if (from < to) this.#parts.push(to - from === bytes.length ? bytes : bytes.subarray(from, to))
  }

  leaf(node: Exclude<Node, DirectoryNode>): void {
    if (node.type === 'symlink') {
      this.token(symlinkNode(node.target))
      return
    }
    this.token(fileHead(node.size, node.executable))
    const { from, to } = this.#advance(node.size)
    if (node.size === 0 && !node.digest.equals(EMPTY_BLOB)) throw wrongSize(node.digest, 0)
    if (from < to) {
      this.#parts.push({ file: node, from, to })
      this.#files++
      this.#bytes += to - from
    }
    this.token(fileTail(node.size))
  }

  take(): readonly NarPart[] {
    const parts = this.#parts
    this.#parts = []
    this.#files = 0
    this.#bytes = 0
    return parts
  }

  /** Moves on by `size` bytes; says which of them lie within the range. */
  #advance(size: number): { from: number; to: number } {
    const from = Math.min(Math.max(this.#range.from - this.at, 0), size)
    const to = Math.min(Math.max(this.#range.to - this.at, 0), size)
    this.at += size
    return { from, to }
  }
}
