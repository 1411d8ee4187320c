import {
  decodeHeadedOutboard,
  decodeSlice,
  encodeHeadedOutboard,
  encodeSlice,
} from '../../../src/castore/verified/bao-codec.ts'
import { Outboard } from '../../../src/castore/verified/outboard.ts'
import { OutboardBuilder } from '../../../src/castore/verified/outboard-builder.ts'
import { ProofError } from '../../../src/castore/verified/proof-error.ts'
import { RangeProver } from '../../../src/castore/verified/range-prover.ts'
import { equalBytes } from '../../../src/foundation/bytes.ts'
import { noise } from '../../fixtures/content.ts'
import { type FuzzTarget, holds } from '../fuzz-target.ts'

const isProofError = (error: unknown): boolean => error instanceof ProofError

/** Groups of one leaf, so that small inputs have large trees. */
const GROUP_LOG = 0
const CONTENT = noise(9 * 1024 + 5, 'verified')
const EVERYTHING = { offset: 0, length: Number.MAX_SAFE_INTEGER }

function built(content: Uint8Array) {
  const builder = new OutboardBuilder({ groupLog: GROUP_LOG })
  builder.push(content)
  return builder.finish()
}

const WHOLE = built(CONTENT)
const LENGTH_BYTES = 8 // of bao's header
const HEADED = encodeHeadedOutboard(WHOLE)

/** An outboard with the size before it, and then the blob's bytes, all from a stranger. */
const outboard: FuzzTarget = {
  name: 'outboard',
  seeds: [Buffer.concat([HEADED, CONTENT])],
  dictionary: [WHOLE.outboard.subarray(0, 64), CONTENT.subarray(0, 1024), WHOLE.digest.bytes],
  isRefusal: isProofError,
  check: (input) => {
    const split = Math.min(HEADED.length, input.length)
    const { size, outboard: parents } = decodeHeadedOutboard(input.subarray(0, split))
    const claim = new Outboard(WHOLE.digest, size, parents, { groupLog: GROUP_LOG })
    const prover = new RangeProver(claim, EVERYTHING)
    let proven = 0
    const pieceBytes = 1 + ((input[LENGTH_BYTES] ?? 0) + 1) * 17
    for (let at = split; at < input.length; at += pieceBytes) {
      for (const bytes of prover.take(input.subarray(at, at + pieceBytes))) {
        const right = CONTENT.subarray(proven, proven + bytes.length)
        holds(equalBytes(bytes, right), 'what is handed out is the blob')
        proven += bytes.length
      }
    }
    prover.finish()
    holds(size === CONTENT.length && proven === size, 'what is accepted is all of the blob')
    claim.verify()
  },
}

const RANGE = { offset: 3000, length: 2500 }

const slice: FuzzTarget = {
  name: 'bao-slice',
  seeds: [encodeSlice(CONTENT, WHOLE.outboard, RANGE, GROUP_LOG)],
  dictionary: [WHOLE.outboard.subarray(64, 128), CONTENT.subarray(2048, 3072)],
  isRefusal: isProofError,
  check: (input) => {
    const proven = decodeSlice(WHOLE.digest, input, RANGE, GROUP_LOG)
    const right = CONTENT.subarray(RANGE.offset, RANGE.offset + RANGE.length)
    holds(equalBytes(proven, right), 'what is handed out is the blob')
  },
}

export const VERIFIED_TARGETS: readonly FuzzTarget[] = [outboard, slice]
