import type { Node } from '../castore/model/node.ts'
import type { Digest } from '../foundation/digest.ts'
import type { MeasuredNar } from './trust-policy.ts'

/** A NAR that was uploaded: what it measured, and the root that it became. */
export interface UploadedNar extends MeasuredNar {
  readonly node: Node
  /** How it came, by the name that narinfos give the compression. */
  readonly compression: string
}

/** A file that a NAR was uploaded as. */
export interface UploadedFile {
  /** Length of the file in bytes, as it was compressed. */
  readonly fileSize: number
  /** SHA-256 of the file, 32 bytes. */
  readonly fileSha256: Uint8Array
  /** The file itself as a blob, where it is kept because we can not make its like. */
  readonly kept?: Digest | undefined
}

/** An uploaded file and the NAR in it. What came before files were recorded has no `file`. */
export type FoundUpload = UploadedNar & { readonly file?: UploadedFile | undefined }
