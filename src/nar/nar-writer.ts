/**
 * The tokens of a NAR (Nix archive), Eelco Dolstra's thesis, figure 5.2, and Nix's manual, "Nix
 * Archive (NAR) format": strings with a 64-bit little-endian length before and zeros after them, up
 * to a multiple of 8 bytes.
 *
 *     nar   = "nix-archive-1" node
 *     node  = "(" "type" ( "regular" [ "executable" "" ] "contents" bytes
 *                        | "symlink" "target" bytes
 *                        | "directory" { "entry" "(" "name" bytes "node" node ")" } ) ")"
 */
const ALIGNMENT_BYTES = 8

/** How many levels a NAR has at the most, its root being the first: Nix's `narMaxDepth`. */
export const NAR_LEVELS_MAX = 64

/** What every NAR begins with, before its root node. */
export const NAR_MAGIC = narStrings('nix-archive-1')

/** What begins a directory's node; its entries and {@link NODE_TAIL} follow. */
export const DIRECTORY_HEAD = narStrings('(', 'type', 'directory')

/** What ends a directory's node. */
export const NODE_TAIL = narStrings(')')

/** What ends an entry, behind its node. */
export const ENTRY_TAIL = narStrings(')')

const ENTRY_BEFORE_NAME = narStrings('entry', '(', 'name')
const ENTRY_AFTER_NAME = narStrings('node')
const FILE_HEAD = narStrings('(', 'type', 'regular', 'contents')
const EXECUTABLE_HEAD = narStrings('(', 'type', 'regular', 'executable', '', 'contents')
const SYMLINK_HEAD = narStrings('(', 'type', 'symlink', 'target')

/** What begins an entry; its node and {@link ENTRY_TAIL} follow. */
export function entryHead(name: Uint8Array): Uint8Array {
  return enclosed(ENTRY_BEFORE_NAME, name, ENTRY_AFTER_NAME)
}

/** What begins a file's node; `size` bytes of content and {@link fileTail} follow. */
export function fileHead(size: number, executable: boolean): Uint8Array {
  const head = executable ? EXECUTABLE_HEAD : FILE_HEAD
  const bytes = Buffer.allocUnsafe(head.length + ALIGNMENT_BYTES)
  bytes.set(head)
  writeLength(bytes, size, head.length)
  return bytes
}

/** The padding behind a file's content of `size` bytes, and the end of its node. */
export function fileTail(size: number): Uint8Array {
  return FILE_TAILS[paddingOf(size)]!
}

/** The whole node of a symlink. */
export function symlinkNode(target: Uint8Array): Uint8Array {
  return enclosed(SYMLINK_HEAD, target, NODE_TAIL)
}

/** How many zeros follow a string of so many bytes: 0 to 7. */
export function paddingOf(length: number): number {
  return (ALIGNMENT_BYTES - (length % ALIGNMENT_BYTES)) % ALIGNMENT_BYTES
}

/** Length of a string in a NAR: itself, its length before and its padding behind it. */
export function stringBytes(length: number): number {
  return ALIGNMENT_BYTES + length + paddingOf(length)
}

/** Keywords as they stand in a NAR, one after the other. */
export function narStrings(...keywords: string[]): Uint8Array {
  const none = new Uint8Array(0)
  return Buffer.concat(keywords.map((it) => enclosed(none, Buffer.from(it), none)))
}

const FILE_TAILS = Array.from({ length: ALIGNMENT_BYTES }, (_, padding) =>
  Buffer.concat([new Uint8Array(padding), NODE_TAIL]),
)

function enclosed(before: Uint8Array, text: Uint8Array, after: Uint8Array): Uint8Array {
  const end = before.length + ALIGNMENT_BYTES + text.length
  const padding = paddingOf(text.length)
  const bytes = Buffer.allocUnsafe(end + padding + after.length)
  bytes.set(before)
  writeLength(bytes, text.length, before.length)
  bytes.set(text, before.length + ALIGNMENT_BYTES)
  bytes.fill(0, end, end + padding)
  bytes.set(after, end + padding)
  return bytes
}

function writeLength(bytes: Buffer, length: number, at: number): void {
  bytes.writeUInt32LE(length % 2 ** 32, at)
  bytes.writeUInt32LE(Math.floor(length / 2 ** 32), at + 4)
}
