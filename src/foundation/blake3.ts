import { createHash, hash, load } from 'blake3'

// The package binds natively where node-gyp could build it, and to WebAssembly otherwise; the
// latter has to be loaded before its first use, the former takes this call as a formality.
await load()

/** The BLAKE3-256 hash of the content, 32 bytes that nobody else holds. */
export function blake3(content: Uint8Array): Uint8Array {
  return detached(hash(content) as Uint8Array)
}

/** BLAKE3-256 over content that arrives in pieces. */
export class Blake3Hasher {
  readonly #hasher = createHash()

  update(bytes: Uint8Array): void {
    this.#hasher.update(bytes)
  }

  digest(): Uint8Array {
    return detached(this.#hasher.digest() as Uint8Array)
  }
}

// The WebAssembly build answers with a view of its scratch memory, which the next hash overwrites,
// and pooled Buffers would keep 8 KiB alive for each digest held.
function detached(bytes: Uint8Array): Uint8Array {
  return bytes.buffer.byteLength === bytes.byteLength ? bytes : Uint8Array.from(bytes)
}
