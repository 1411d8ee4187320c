import type { Call } from '../../foundation/call.ts'
import type { Outboard } from './outboard.ts'
import { type ByteRange, RangeProver } from './range-prover.ts'
import type { Span } from './tree-shape.ts'

/**
 * The bytes of a range, read from somebody who is not believed: each is proven to be the blob's
 * before it is handed out. The reader is asked for a span of whole groups.
 * @throws ProofError where what is read or the outboard is wrong
 */
export async function* provenRange(
  outboard: Outboard,
  range: ByteRange,
  read: (span: Span, call: Call) => AsyncIterable<Uint8Array>,
  call: Call,
): AsyncGenerator<Uint8Array> {
  const prover = new RangeProver(outboard, range)
  if (prover.span.from === prover.span.to) return
  for await (const bytes of read(prover.span, call)) {
    call.signal.throwIfAborted()
    yield* prover.take(bytes)
  }
  prover.finish()
}
