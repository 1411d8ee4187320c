import { createHash, randomBytes } from 'node:crypto'
import { fastestSubtreeHasher } from '../../../src/castore/verified/fastest-subtree-hasher.ts'
import { Outboard } from '../../../src/castore/verified/outboard.ts'
import { OutboardBuilder } from '../../../src/castore/verified/outboard-builder.ts'
import { RangeProver } from '../../../src/castore/verified/range-prover.ts'
import { GROUP_LOG } from '../../../src/castore/verified/tree-shape.ts'
import { Blake3Hasher } from '../../../src/foundation/blake3.ts'
import type { Figure } from '../figure.ts'
import { factor, medianSeconds, rate } from '../measure.ts'

const MIB = 1024 * 1024
const BLOB_BYTES = 1024 * MIB

/** The blob comes in pieces of 1 MiB, from memory that no cache holds. */
const PIECES = 64

/** Outboards and proofs of a blob of 1 GiB from memory, beside the plain hashes of it. */
export async function outboardFigures(): Promise<Figure[]> {
  const pool = Array.from({ length: PIECES }, () => randomBytes(MIB))
  const pieces = (take: (piece: Uint8Array, at: number) => void): void => {
    for (let at = 0; at < BLOB_BYTES; at += MIB) take(pool[(at / MIB) % PIECES]!, at)
  }
  const hasher = fastestSubtreeHasher()
  const warm = new OutboardBuilder()
  for (const piece of pool) warm.push(piece)
  warm.finish()

  const kernelSeconds = await medianSeconds(async () => {
    pieces((piece, at) => hasher.groups(piece, at / 2 ** (10 + GROUP_LOG), GROUP_LOG))
  })
  let built = warm.finish()
  const buildSeconds = await medianSeconds(async () => {
    const builder = new OutboardBuilder()
    pieces((piece) => builder.push(piece))
    built = builder.finish()
  })
  const nativeSeconds = await medianSeconds(async () => {
    const native = new Blake3Hasher()
    pieces((piece) => native.update(piece))
    native.digest()
  })
  const shaSeconds = await medianSeconds(async () => {
    const sha = createHash('sha256')
    pieces((piece) => sha.update(piece))
    sha.digest()
  })
  const claim = (): Outboard => new Outboard(built.digest, built.size, built.outboard)
  const proveSeconds = await medianSeconds(async () => {
    const prover = new RangeProver(claim(), { offset: 0, length: BLOB_BYTES })
    pieces((piece) => prover.take(piece))
    prover.finish()
  })
  const verifySeconds = await medianSeconds(async () => claim().verify())
  const plain = `blake3 ${rate(BLOB_BYTES, nativeSeconds)}, sha256 ${rate(BLOB_BYTES, shaSeconds)}`
  const figure = (what: string, seconds: number, aim: string): Figure => ({
    what,
    value: rate(BLOB_BYTES, seconds),
    baseline: plain,
    ratio: `${factor(nativeSeconds, seconds)} blake3, ${factor(shaSeconds, seconds)} sha256`,
    aim,
  })
  return [
    figure('BLAKE3 groups of 16 KiB, the kernel alone', kernelSeconds, ''),
    figure('digest and outboard of 1 GiB', buildSeconds, '≥ 1000 MB/s'),
    figure('proving 1 GiB by its outboard', proveSeconds, '≥ 1000 MB/s'),
    {
      what: 'checking the outboard of 1 GiB alone',
      value: `${(verifySeconds * 1000).toFixed(0)} ms`,
      baseline: `${(built.outboard.length / 1e6).toFixed(1)} MB`,
      ratio: '',
      aim: '',
    },
  ]
}
