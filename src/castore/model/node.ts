import type { Digest } from '../../foundation/digest.ts'
import { invalid } from '../castore-error.ts'

/** Length of the longest entry name, in bytes. */
export const NAME_BYTES_MAX = 255

/** Length of the longest symlink target, in bytes. */
export const TARGET_BYTES_MAX = 4095

/**
 * The largest size of a file or a Directory: sizes are 64-bit on the wire, and whole up to 2^53 - 1
 * here (8 PiB), which no real file exceeds. Larger claims are refused.
 */
export const SIZE_MAX = Number.MAX_SAFE_INTEGER

/** A Directory, by its digest; `size` is the number of all entries below it. */
export class DirectoryNode {
  readonly type = 'directory'
  readonly digest: Digest
  readonly size: number

  constructor(digest: Digest, size: number) {
    this.digest = digest
    this.size = checkedSize(size, 'a directory')
  }
}

/** A file, by the digest of its content; `size` is its length in bytes. */
export class FileNode {
  readonly type = 'file'
  readonly digest: Digest
  readonly size: number
  readonly executable: boolean

  constructor(digest: Digest, size: number, executable: boolean) {
    this.digest = digest
    this.size = checkedSize(size, 'a file')
    this.executable = executable
  }
}

/** A symbolic link; its target is bytes, 1 to 4095 of them, and no NUL. */
export class SymlinkNode {
  readonly type = 'symlink'
  readonly target: Uint8Array

  constructor(target: Uint8Array) {
    if (target.length === 0 || target.length > TARGET_BYTES_MAX) {
      throw invalid(`a symlink target has 1 to ${TARGET_BYTES_MAX} bytes, not ${target.length}`)
    }
    if (target.includes(0)) throw invalid('a symlink target holds no NUL byte')
    this.target = target
  }
}

/** What a name in a Directory, or a store path, stands for. */
export type Node = DirectoryNode | FileNode | SymlinkNode

function checkedSize(size: number, what: string): number {
  if (!Number.isSafeInteger(size) || size < 0) {
    throw invalid(`the size of ${what} is a whole number up to ${SIZE_MAX}, not ${size}`)
  }
  return size
}
