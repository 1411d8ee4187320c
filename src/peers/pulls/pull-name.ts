import { Blake3Hasher } from '../../foundation/blake3.ts'
import { Digest } from '../../foundation/digest.ts'
import type { PathFacts } from '../../pathinfo/path-facts.ts'

/** What two nodes call a path of which they want the same NAR: only who knows it can name it. */
export function pullName({ storePath, narSha256, narSize }: PathFacts): Digest {
  const length = Buffer.alloc(8)
  length.writeBigUInt64BE(BigInt(narSize))
  return named('cairn/pull/', storePath.hash, narSha256, length)
}

/** The root of the swarm of those who fetch from one pull of a path. */
export function pullRoot(name: Digest, run: number, puller: string): Digest {
  const number = Buffer.alloc(4)
  number.writeUInt32BE(run)
  return named('cairn/pull-swarm/', name.bytes, number, Buffer.from(puller))
}

/** What a node weighs in the choice of who pulls a path: the heaviest goes first. */
export function pullWeight(name: Digest, peer: string): number {
  const { bytes } = named('cairn/pull-weight/', name.bytes, Buffer.from(peer))
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).readUIntBE(0, 6)
}

function named(domain: string, ...parts: readonly Uint8Array[]): Digest {
  const hasher = new Blake3Hasher()
  hasher.update(Buffer.from(domain))
  for (const part of parts) hasher.update(part)
  return Digest.of(hasher.digest())
}
