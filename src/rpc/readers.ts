import type { ReadableCastore } from '../castore/castore.ts'
import { OWNER_ACCESS, type ReadAccess } from '../pathinfo/read-access.ts'
import { SharedCastore } from '../pathinfo/shared-castore.ts'
import type { RpcCall } from './call-handlers.ts'

/** Who may read what: the owner everything, the others what is shared. */
export class Readers {
  readonly #castore: ReadableCastore
  readonly #others: ReadAccess
  readonly #shared: SharedCastore

  constructor(components: { readonly castore: ReadableCastore; readonly others: ReadAccess }) {
    const { castore, others } = components
    this.#castore = castore
    this.#others = others
    this.#shared = new SharedCastore({ castore, access: others })
  }

  /** What whoever calls may read. */
  accessFor({ isOwner }: Pick<RpcCall, 'isOwner'>): ReadAccess {
    return isOwner ? OWNER_ACCESS : this.#others
  }

  /** The content that whoever calls may read; to them all else is absent. */
  castoreFor({ isOwner }: Pick<RpcCall, 'isOwner'>): ReadableCastore {
    return isOwner ? this.#castore : this.#shared
  }
}
