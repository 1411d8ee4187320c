import { RpcError } from './rpc-error.ts'

/** Reads and writes one kind of message, as generated code does. */
export interface WireCodec<T> {
  encode(message: T): { finish(): Uint8Array }
  decode(bytes: Uint8Array): T
}

/** The bytes of a message. */
export function encoded<T>(codec: Pick<WireCodec<T>, 'encode'>, message: T): Buffer {
  const bytes = codec.encode(message).finish()
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** The message of these bytes. @throws RpcError 'bad-request' where they are none */
export function decoded<T>(codec: Pick<WireCodec<T>, 'decode'>, bytes: Uint8Array): T {
  try {
    return codec.decode(bytes)
  } catch (cause) {
    const what = 'this is no well-formed message of that kind'
    throw new RpcError({ code: 'bad-request', what }, what, { cause })
  }
}

/** Leaves messages as the bytes that they are. */
export const RAW_CODEC: WireCodec<Uint8Array> = {
  encode: (bytes) => ({ finish: () => bytes }),
  decode: (bytes) => bytes,
}
