import { concatBytes, equalBytes } from '../../../src/foundation/bytes.ts'
import { Digest } from '../../../src/foundation/digest.ts'
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
} from '../../../src/peers/exchange/exchange-codec.ts'
import { FrameError } from '../../../src/peers/exchange/frame-error.ts'
import { FrameSplitter, framePrefix } from '../../../src/peers/exchange/frame-splitter.ts'
import type { Answer, Want } from '../../../src/peers/exchange/want.ts'
import { FILTER_BYTES_MAX, FILTER_BYTES_MIN } from '../../../src/peers/filters/bloom-filter.ts'
import { FilterCopy, FilterError } from '../../../src/peers/filters/filter-copy.ts'
import { type FilterNews, HASH_BYTES } from '../../../src/peers/filters/filter-news.ts'
import { PathHasher } from '../../../src/peers/filters/sip-hash.ts'
import { pathInfoOf } from '../../fixtures/claims.ts'
import { noise } from '../../fixtures/content.ts'
import { type FuzzTarget, holds } from '../fuzz-target.ts'

const DIGESTS = [1, 2, 3].map((seed) => Digest.of(noise(32, seed)))

const WANTS: readonly (Want | 'cancel')[] = [
  { type: 'path-infos', hashes: [noise(20, 1), noise(20, 2)] },
  { type: 'closure', root: DIGESTS[0]! },
  { type: 'layouts', digests: DIGESTS },
  { type: 'layouts', digests: DIGESTS, outboards: true },
  { type: 'chunks', digests: DIGESTS },
  { type: 'filter', key: noise(16, 5) },
  'cancel',
]

const ANSWERS: readonly Answer[] = [
  { type: 'path-info', index: 1, pathInfo: pathInfoOf('answered') },
  { type: 'directories', encoded: [noise(50, 1), noise(3, 2)] },
  { type: 'layout', index: 2, layout: DIGESTS.map((digest, i) => ({ digest, size: i + 1 })) },
  { type: 'layout', index: 0, layout: [], outboard: noise(64, 4) },
  { type: 'chunks', chunks: [{ index: 0, data: noise(40, 3) }] },
  { type: 'filter', news: { snapshotBytes: 20_000, bits: noise(40, 6) } },
  { type: 'filter', news: { added: noise(24, 7) } },
  { type: 'absent', indices: [1, 300] },
  { type: 'refused', reason: 'not today' },
  { type: 'done' },
]

/** A wrong type inside is a mistake of the decoder's, however it is wrapped. */
const isFrameError = (error: unknown): boolean =>
  error instanceof FrameError && !(error.cause instanceof TypeError)

const request: FuzzTarget = {
  name: 'request',
  seeds: WANTS.map((want, i) => encodeRequest(i + 1, want)),
  isRefusal: isFrameError,
  check: (input) => {
    const { id, want } = decodeRequest(input)
    if (want === 'unknown') return
    const encoded = encodeRequest(id, want)
    const again = decodeRequest(encoded)
    holds(again.want !== 'unknown', 'what is known stays known')
    const reencoded = encodeRequest(again.id, again.want as typeof want)
    holds(equalBytes(reencoded, encoded), 'it reads back')
  },
}

const response: FuzzTarget = {
  name: 'response',
  seeds: ANSWERS.map((answer, i) => concatBytes(encodeResponse(i + 1, answer))),
  isRefusal: isFrameError,
  check: (input) => {
    const { id, answer } = decodeResponse(input)
    const encoded = concatBytes(encodeResponse(id, answer))
    const again = decodeResponse(encoded)
    holds(equalBytes(concatBytes(encodeResponse(again.id, again.answer)), encoded), 'it reads back')
  },
}

/** What a peer tells of its filter: however it is put together, no more is kept than there is room. */
const filterNews: FuzzTarget = {
  name: 'filter-news',
  seeds: [
    concatBytes([
      filterFrame({ snapshotBytes: FILTER_BYTES_MIN }),
      filterFrame({ bits: noise(FILTER_BYTES_MIN, 1).map((byte) => byte & 0x55) }),
      filterFrame({ added: noise(3 * HASH_BYTES, 2) }),
      filterFrame({}),
    ]),
    filterFrame({ snapshotBytes: FILTER_BYTES_MIN, bits: new Uint8Array(FILTER_BYTES_MIN) }),
  ],
  dictionary: [filterFrame({ snapshotBytes: 20_000 }), filterFrame({ added: noise(8, 3) })],
  testRuns: 2_000,
  isRefusal: (error) => isFrameError(error) || error instanceof FilterError,
  check: (input) => {
    const room = (bytes: number): boolean => bytes <= FILTER_BYTES_MAX
    const copy = new FilterCopy({ hasher: new PathHasher(noise(16, 4)), room })
    const { frames: found, error } = split(input, input.length)
    if (error !== undefined) throw error
    for (const frame of found.split(',')) {
      const { answer } = decodeResponse(Buffer.from(frame, 'hex'))
      if (answer.type !== 'filter') continue
      const isChanged = copy.take(answer.news)
      holds(!isChanged || copy.isWhole, 'there is news of whole filters only')
      holds(copy.bytes <= 2 * FILTER_BYTES_MAX, 'it keeps two filters at the most')
    }
    const seen = copy.mayHave(noise(20, 5))
    holds(copy.isWhole || seen, 'without a filter everything may be there')
  },
}

function filterFrame(news: FilterNews): Uint8Array {
  return framed(concatBytes(encodeResponse(1, { type: 'filter', news })))
}

/** A stream of frames: cut anywhere, the same frames come out. */
const frames: FuzzTarget = {
  name: 'frames',
  seeds: [
    Buffer.alloc(0),
    concatBytes(['one', 'two', '', 'three'].map((it) => framed(Buffer.from(it)))),
  ],
  dictionary: [framePrefix(0), framePrefix(3), framePrefix(0xffff_ffff), framePrefix(70_000)],
  isRefusal: isFrameError,
  check: (input) => {
    const whole = split(input, input.length)
    const cut = split(input, 1 + (input.length % 7))
    holds(whole.frames === cut.frames, 'the same frames come, whole or in pieces')
    if (whole.error !== undefined) throw whole.error
  },
}

function framed(bytes: Uint8Array): Uint8Array {
  return concatBytes([framePrefix(bytes.length), bytes])
}

function split(input: Uint8Array, pieceBytes: number): { frames: string; error: unknown } {
  const splitter = new FrameSplitter({}, { frameBytesMax: 65_536 })
  const found: string[] = []
  try {
    for (let at = 0; at < input.length; at += Math.max(1, pieceBytes)) {
      const piece = input.subarray(at, at + Math.max(1, pieceBytes))
      for (const frame of splitter.push(piece)) found.push(Buffer.from(frame).toString('hex'))
    }
  } catch (error) {
    // Frames before the bad one may or may not have come in the same push.
    return { frames: '', error }
  }
  return { frames: found.join(), error: undefined }
}

export const EXCHANGE_TARGETS: readonly FuzzTarget[] = [request, response, frames, filterNews]
