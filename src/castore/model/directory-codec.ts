import { compareBytes } from '../../foundation/bytes.ts'
import { Digest } from '../../foundation/digest.ts'
import * as wire from '../../generated/tvix/castore/v1/castore.ts'
import { CastoreError, invalid } from '../castore-error.ts'
import { DirectoryNode, FileNode, type Node, SymlinkNode } from './node.ts'

interface NamedNode {
  readonly name: Uint8Array
  readonly node: Node
}

/** The canonical `tvix.castore.v1.Directory` of entries that are sorted by name. */
export function encodeEntries(sorted: readonly NamedNode[]): Uint8Array {
  const message: wire.Directory = { directories: [], files: [], symlinks: [] }
  for (const { name, node } of sorted) {
    if (node.type === 'directory') message.directories.push(wireDirectory(name, node))
    else if (node.type === 'file') message.files.push(wireFile(name, node))
    else message.symlinks.push({ name, target: node.target })
  }
  return wire.Directory.encode(message).finish()
}

/**
 * The entries of a Directory message, directories first, then files, then symlinks; `inOrder` says
 * whether each of the three lists is strictly sorted. Names are not judged here.
 * @throws CastoreError where it is no such message, or a node breaks a rule
 */
export function decodeEntries(encoded: Uint8Array): { entries: NamedNode[]; inOrder: boolean } {
  const message = decoded(() => wire.Directory.decode(encoded), 'Directory')
  const entries: NamedNode[] = []
  for (const it of message.directories) entries.push({ name: it.name, node: directoryNode(it) })
  for (const it of message.files) entries.push({ name: it.name, node: fileNode(it) })
  for (const it of message.symlinks)
    entries.push({ name: it.name, node: new SymlinkNode(it.target) })
  const inOrder =
    isSorted(message.directories) && isSorted(message.files) && isSorted(message.symlinks)
  return { entries, inOrder }
}

/** A `tvix.castore.v1.Node` message's fields for a node of that name (empty for a bare root). */
export function toWireNode(name: Uint8Array, node: Node): wire.Node {
  switch (node.type) {
    case 'directory':
      return { node: { $case: 'directory', directory: wireDirectory(name, node) } }
    case 'file':
      return { node: { $case: 'file', file: wireFile(name, node) } }
    case 'symlink':
      return { node: { $case: 'symlink', symlink: { name, target: node.target } } }
  }
}

/** The name and node of a Node message's fields. @throws CastoreError */
export function fromWireNode(message: wire.Node | undefined): NamedNode {
  const node = message?.node
  switch (node?.$case) {
    case 'directory':
      return { name: node.directory.name, node: directoryNode(node.directory) }
    case 'file':
      return { name: node.file.name, node: fileNode(node.file) }
    case 'symlink':
      return { name: node.symlink.name, node: new SymlinkNode(node.symlink.target) }
    case undefined:
      throw invalid('a Node is a directory, a file or a symlink')
  }
}

/** The encoded `tvix.castore.v1.Node` of a root, its name empty: what names content in URLs. */
export function encodeRoot(node: Node): Uint8Array {
  return wire.Node.encode(toWireNode(new Uint8Array(0), node)).finish()
}

/** Reads an encoded root, which must be canonical and have an empty name. @throws CastoreError */
export function decodeRoot(encoded: Uint8Array): Node {
  const { name, node } = fromWireNode(decoded(() => wire.Node.decode(encoded), 'Node'))
  if (name.length > 0) throw invalid('the name of a root node is empty')
  if (compareBytes(encodeRoot(node), encoded) !== 0) {
    throw invalid('a Node message must be in canonical encoding')
  }
  return node
}

function wireDirectory(name: Uint8Array, node: DirectoryNode): wire.DirectoryNode {
  return { name, digest: node.digest.bytes, size: node.size }
}

function wireFile(name: Uint8Array, node: FileNode): wire.FileNode {
  return { name, digest: node.digest.bytes, size: node.size, executable: node.executable }
}

function directoryNode(message: wire.DirectoryNode): DirectoryNode {
  return new DirectoryNode(checkedDigest(message.digest), message.size)
}

function fileNode(message: wire.FileNode): FileNode {
  return new FileNode(checkedDigest(message.digest), message.size, message.executable)
}

function checkedDigest(bytes: Uint8Array): Digest {
  if (bytes.length !== 32) throw invalid(`a digest has 32 bytes, not ${bytes.length}`)
  return Digest.of(bytes)
}

function isSorted(list: readonly { name: Uint8Array }[]): boolean {
  return list.every((it, i) => i === 0 || compareBytes(list[i - 1]!.name, it.name) < 0)
}

function decoded<T>(decode: () => T, what: string): T {
  try {
    return decode()
  } catch (cause) {
    throw new CastoreError({ code: 'invalid', what }, `no well-formed ${what} message`, { cause })
  }
}
