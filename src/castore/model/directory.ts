import { compareBytes, printableBytes } from '../../foundation/bytes.ts'
import { Digest } from '../../foundation/digest.ts'
import { invalid } from '../castore-error.ts'
import { decodeEntries, encodeEntries } from './directory-codec.ts'
import { NAME_BYTES_MAX, type Node, SIZE_MAX } from './node.ts'

/** A name in a Directory and what it stands for. Names are bytes, not necessarily UTF-8. */
export interface Entry {
  readonly name: Uint8Array
  readonly node: Node
}

/**
 * A Directory message: entries sorted by the bytes of their names, every name once and valid. It is
 * known by the digest of its canonical protobuf encoding.
 */
export class Directory {
  readonly entries: readonly Entry[]
  /** Number of all entries below this Directory, its own included. */
  readonly size: number
  /** The canonical encoding. */
  readonly encoded: Uint8Array
  readonly digest: Digest

  private constructor(entries: readonly Entry[], encoded: Uint8Array, digest: Digest) {
    this.entries = entries
    this.encoded = encoded
    this.digest = digest
    this.size = sizeOf(entries)
  }

  /** Makes a Directory of entries in any order. @throws CastoreError where a rule is broken */
  static of(entries: Iterable<Entry>): Directory {
    const sorted = [...entries].sort((a, b) => compareBytes(a.name, b.name))
    checkEntries(sorted)
    const encoded = encodeEntries(sorted)
    return new Directory(sorted, encoded, Digest.ofContent(encoded))
  }

  /**
   * Reads a Directory message, which must be canonical: its digest is that of the bytes given.
   * @throws CastoreError
   */
  static decode(encoded: Uint8Array): Directory {
    const { inOrder, entries } = decodeEntries(encoded)
    if (!inOrder) throw invalid('the lists of a Directory are sorted by name, each name once')
    entries.sort((a, b) => compareBytes(a.name, b.name))
    checkEntries(entries)
    if (compareBytes(encodeEntries(entries), encoded) !== 0) {
      throw invalid('a Directory message must be in canonical encoding')
    }
    return new Directory(entries, encoded, Digest.ofContent(encoded))
  }

  /** The node of that name, or undefined. */
  get(name: Uint8Array): Node | undefined {
    let low = 0
    let high = this.entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const entry = this.entries[middle]!
      const order = compareBytes(entry.name, name)
      if (order === 0) return entry.node
      if (order < 0) low = middle + 1
      else high = middle
    }
    return undefined
  }
}

/** Why bytes can not be the name of an entry, or undefined where they can. */
export function nameFlaw(name: Uint8Array): string | undefined {
  if (name.length === 0) return 'a name is not empty'
  if (name.length > NAME_BYTES_MAX) return `a name has at most ${NAME_BYTES_MAX} bytes`
  if (name.includes(0x2f)) return 'a name holds no slash'
  if (name.includes(0)) return 'a name holds no NUL byte'
  if (name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e))) {
    return 'a name is not . or ..'
  }
  return undefined
}

function checkEntries(sorted: readonly Entry[]): void {
  for (const [i, { name }] of sorted.entries()) {
    const flaw = nameFlaw(name)
    if (flaw !== undefined) throw invalid(`${flaw}: ${printableBytes(name.subarray(0, 300))}`)
    if (i > 0 && compareBytes(sorted[i - 1]!.name, name) === 0) {
      throw invalid(`a Directory has each name once: ${printableBytes(name)}`)
    }
  }
}

function sizeOf(entries: readonly Entry[]): number {
  let size = entries.length
  for (const { node } of entries) if (node.type === 'directory') size += node.size
  if (size > SIZE_MAX) throw invalid(`the sizes in a Directory add up to more than ${SIZE_MAX}`)
  return size
}
