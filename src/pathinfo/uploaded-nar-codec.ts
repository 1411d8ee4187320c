import { fromWireNode, toWireNode } from '../castore/model/directory-codec.ts'
import { UploadedNar as Message } from '../generated/cairn/store/v1/record.ts'
import type { UploadedNar } from './uploaded-nar.ts'

/** The stored form of an uploaded NAR, `cairn.store.v1.UploadedNar`. */
export function encodeUploadedNar(nar: UploadedNar): Uint8Array {
  const { narSha256, narSize, compression } = nar
  return Message.encode({
    node: toWireNode(new Uint8Array(0), nar.node),
    narSha256,
    narSize,
    compression,
  }).finish()
}

/** Reads the stored form. @throws CastoreError where the root is none */
export function decodeUploadedNar(encoded: Uint8Array): UploadedNar {
  const { node, narSha256, narSize, compression } = Message.decode(encoded)
  return { node: fromWireNode(node).node, narSha256, narSize, compression }
}
