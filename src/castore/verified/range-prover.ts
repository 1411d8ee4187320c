import { checkGroups } from './group-check.ts'
import type { ExpectedGroups, Outboard } from './outboard.ts'
import { ProofError } from './proof-error.ts'
import type { Span } from './tree-shape.ts'

/** Which bytes of a blob are wanted; they may reach beyond its end, or lie behind it. */
export interface ByteRange {
  readonly offset: number
  readonly length: number
}

/**
 * Proves a range of a blob, group after group, as its bytes arrive. What it hands out is proven to
 * be the blob's; a wrong byte is noticed once its group is complete.
 */
export class RangeProver {
  /** What has to be read: all groups that the range touches, the last one to prove the end. */
  readonly span: Span
  readonly #outboard: Outboard
  readonly #wanted: Span
  readonly #walk: ExpectedGroups
  /** The chaining values of the groups from {@link #group} on, as far as the walk has come. */
  #expected: Uint8Array[] = []
  #group: number
  #held = new Uint8Array(0)
  #heldBytes = 0

  /** @throws RangeError where the range is none */
  constructor(outboard: Outboard, { offset, length }: ByteRange) {
    if (!isCount(offset) || !isCount(length)) {
      throw new RangeError(`no range of bytes: ${length} from ${offset} on`)
    }
    const { shape } = outboard
    this.#outboard = outboard
    this.span = shape.spanToProve(offset, length)
    this.#wanted = { from: offset, to: offset + length }
    this.#group = Math.floor(this.span.from / shape.groupBytes)
    this.#walk = outboard.expectedFrom(this.#group)
  }

  /** Where the next byte that is taken lies in the blob. */
  get position(): number {
    return Math.min(this.#group * this.#outboard.shape.groupBytes, this.span.to) + this.#heldBytes
  }

  /**
   * Takes the next bytes of the span; says those of the range that are proven by now, in their
   * order: views of what was taken, which must not change, but for groups that came in pieces.
   *
   * A throw takes nothing: `position` goes back to the beginning of the first group that is not
   * proven, and the bytes from there on may come from someone else.
   * @throws ProofError
   */
  take(bytes: Uint8Array): Uint8Array[] {
    const beyond = this.position + bytes.length - this.span.to
    if (beyond > 0) {
      const what = `${beyond} bytes too many`
      throw new ProofError({ code: 'bytes-beyond', at: this.span.to }, what)
    }
    try {
      return this.#take(bytes)
    } catch (error) {
      this.#heldBytes = 0
      throw error
    }
  }

  /** Ends the range. @throws ProofError 'bytes-missing' where something is not proven */
  finish(): void {
    const at = this.position
    if (at === this.span.to) return
    const what = `the bytes end at ${at}, not at ${this.span.to}`
    throw new ProofError({ code: 'bytes-missing', at }, what)
  }

  #take(bytes: Uint8Array): Uint8Array[] {
    const { groupBytes } = this.#outboard.shape
    const { from, to } = this.#outboard.shape.spanOf(this.#group)
    const room = this.#heldBytes === 0 ? 0 : to - from - this.#heldBytes
    const begun = bytes.subarray(0, room)
    const rest = bytes.subarray(begun.length)
    const isLast = this.position + bytes.length === this.span.to
    const whole = isLast ? rest.length : rest.length - (rest.length % groupBytes)

    const proven: Uint8Array[] = []
    let group = this.#group
    if (room > 0) {
      this.#hold(begun)
      if (begun.length < room) return proven
      const held = this.#held.subarray(0, this.#heldBytes)
      proven.push(...this.#prove(held, group, 0))
      group++
    }
    if (whole > 0) {
      proven.push(...this.#prove(rest.subarray(0, whole), group, group - this.#group))
      group += Math.ceil(whole / groupBytes)
    }
    this.#expected.splice(0, group - this.#group)
    this.#group = group
    this.#heldBytes = 0
    if (whole < rest.length) {
      this.#held = Buffer.allocUnsafeSlow(groupBytes)
      this.#hold(rest.subarray(whole))
    }
    return proven
  }

  /** Proves whole groups; what of them is wanted. `skip` groups before them are being proven. */
  #prove(bytes: Uint8Array, firstGroup: number, skip: number): Uint8Array[] {
    const { shape, hasher } = this.#outboard
    const groups = Math.ceil(bytes.length / shape.groupBytes)
    while (this.#expected.length < skip + groups) this.#expected.push(this.#walk.next())
    const expected = this.#expected.slice(skip, skip + groups)
    checkGroups(bytes, firstGroup, expected, shape, hasher)
    const from = firstGroup * shape.groupBytes
    const begin = Math.max(this.#wanted.from - from, 0)
    const wanted = bytes.subarray(begin, Math.max(this.#wanted.to - from, 0))
    return wanted.length > 0 ? [wanted] : []
  }

  #hold(bytes: Uint8Array): void {
    this.#held.set(bytes, this.#heldBytes)
    this.#heldBytes += bytes.length
  }
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}
