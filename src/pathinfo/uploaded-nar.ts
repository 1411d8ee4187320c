import type { Node } from '../castore/model/node.ts'
import type { MeasuredNar } from './trust-policy.ts'

/** A NAR that was uploaded: what it measured, and the root that it became. */
export interface UploadedNar extends MeasuredNar {
  readonly node: Node
  /** How it came, by the name that narinfos give the compression. */
  readonly compression: string
}
