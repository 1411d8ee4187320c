import type { Digest } from '../foundation/digest.ts'
import { FaultError } from '../foundation/fault.ts'
import { NAR_LEVELS_MAX } from './nar-writer.ts'

/**
 * How a NAR can break the format; `offset` is where the wrong byte, name, target or size begins,
 * in bytes from the NAR's beginning.
 */
export type NarFormatFault = {
  readonly code: /** It ends too early. */
    | 'truncated'
    /** It does not begin with the magic string. */
    | 'bad-magic'
    /** Another keyword, or another length of a keyword, than the grammar asks for. */
    | 'bad-token'
    /** Padding that is not zero. */
    | 'bad-padding'
    /** An entry name that is empty, too long, `.`, `..`, or holds a slash or NUL. */
    | 'bad-name'
    /** Entries that are not in the order of their names' bytes. */
    | 'unsorted'
    /** Two entries of one name. */
    | 'duplicate'
    /** More levels than Nix takes. */
    | 'too-deep'
    /** A symlink target that is empty, too long, or holds a NUL. */
    | 'bad-target'
    /** Something comes after the end. */
    | 'trailing-bytes'
    /** A size beyond what numbers can say, or beyond the limit that the caller gave. */
    | 'too-large'
  readonly offset: number
}

/** Why a NAR can not be made of what a castore holds. */
export type NarContentFault = {
  readonly code: /** A Directory that the root reaches is not held. */
    | 'directory-missing'
    /** A blob that the root reaches, or a chunk of it, is not held. */
    | 'blob-missing'
    /** A blob has another size than its node says. */
    | 'blob-size'
  /** Hexadecimal. */
  readonly digest: string
}

/** Why a NAR can not be made of a path on disk. */
export type NarPathFault = {
  readonly code: /** The operating system refused to read it. */
    | 'path-unreadable'
    /** It is neither a file nor a directory nor a symlink. */
    | 'path-unsupported'
    /** The file's size changed while it was read. */
    | 'path-changed'
  readonly path: string
}

/** Why a compressed stream can not be read. */
export type NarCompressionFault = {
  readonly code: /** It breaks its format, or something follows its end. */
    | 'compression-corrupt'
    /** It ends too early. */
    | 'compression-truncated'
    /** It would make its decoder use more memory than that is given. */
    | 'compression-memory'
  readonly compression: string
}

/** All that can go wrong with NARs. */
export type NarFault = NarFormatFault | NarContentFault | NarPathFault | NarCompressionFault

/** What `src/nar` throws; the fault says what, for code to branch on. */
export class NarError extends FaultError<NarFault> {}

/** An error for a NAR that breaks the format at `offset`. */
export function malformed(code: NarFormatFault['code'], offset: number, what: string): NarError {
  return new NarError({ code, offset }, `malformed NAR at byte ${offset}: ${what}`)
}

/** An error for a NAR of more levels than Nix takes, at `offset`. */
export function tooDeep(offset: number): NarError {
  return malformed('too-deep', offset, `it has more than ${NAR_LEVELS_MAX} levels`)
}

/** An error for more bytes than the caller takes. */
export function tooLarge(bytesMax: number): NarError {
  return malformed('too-large', bytesMax, `it has more than ${bytesMax} bytes`)
}

/** An error for a stream whose compression can not be undone. */
export function unreadable(
  code: NarCompressionFault['code'],
  compression: string,
  what: string,
  cause?: unknown,
): NarError {
  const options = cause === undefined ? {} : { cause }
  return new NarError({ code, compression }, `unreadable ${compression} stream: ${what}`, options)
}

/** An error for a blob that is not held, whole or in part. */
export function missingBlob(digest: Digest): NarError {
  const fault = { code: 'blob-missing', digest: digest.hex } as const
  return new NarError(fault, `blob ${digest} is not held`)
}

/** An error for a blob that does not have the size that its node says, in bytes. */
export function wrongSize(digest: Digest, size: number): NarError {
  const fault = { code: 'blob-size', digest: digest.hex } as const
  return new NarError(fault, `blob ${digest} does not have the ${size} bytes that its node says`)
}
