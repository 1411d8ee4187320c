import { toWireLayout } from '../../castore/blob-layout-codec.ts'
import { concatBytes } from '../../foundation/bytes.ts'
import type { Digest } from '../../foundation/digest.ts'
import { Request, Response } from '../../generated/cairn/exchange/v1/exchange.ts'
import type { PathInfo } from '../../pathinfo/path-info.ts'
import { toWireSigned } from '../../pathinfo/path-info-codec.ts'
import type { FilterNews } from '../filters/filter-news.ts'
import type { PullNews } from '../pulls/pull-news.ts'
import type { Availability } from '../swarm/availability.ts'
import { FrameError, malformedFrame } from './frame-error.ts'
import type { Answer, ChunkAnswer, Want } from './want.ts'
import {
  fromWireAvailability,
  fromWireFilter,
  fromWireLayoutAnswer,
  fromWirePathInfoAnswer,
  fromWirePull,
  fromWireWant,
} from './want-codec.ts'

/** Chunks up to this many bytes are copied together: a piece of its own costs more than that. */
const COPY_BYTES_MAX = 16 * 1024

const NOTHING = new Uint8Array(0)

/**
 * A request as it arrives: what is wanted, or that an earlier request is taken back, or something
 * that only later versions know.
 */
export interface IncomingRequest {
  readonly id: number
  readonly want: Want | 'cancel' | 'unknown'
}

/** A response as it arrives. */
export interface IncomingResponse {
  readonly id: number
  readonly answer: Answer
}

/** The frame of a request. */
export function encodeRequest(id: number, want: Want | 'cancel'): Uint8Array {
  return Request.encode({ id, want: wireWant(want) }).finish()
}

/** Reads a request's frame. @throws FrameError where it is none, or breaks a limit */
export function decodeRequest(frame: Uint8Array): IncomingRequest {
  return translated('request', () => {
    const { id, want } = Request.decode(frame)
    if (want === undefined) return { id, want: 'unknown' }
    return { id, want: want.$case === 'cancel' ? 'cancel' : fromWireWant(want) }
  })
}

/** The frame of a response, in pieces: chunks are not copied. */
export function encodeResponse(id: number, answer: Answer): Uint8Array[] {
  if (answer.type === 'chunks') return encodeChunks(id, answer.chunks)
  return [Response.encode({ id, answer: wireAnswer(answer) }).finish()]
}

/** Reads a response's frame. @throws FrameError where it is none */
export function decodeResponse(frame: Uint8Array): IncomingResponse {
  return translated('response', () => fromWireResponse(Response.decode(frame)))
}

function translated<T>(what: string, decode: () => T): T {
  try {
    return decode()
  } catch (cause) {
    if (cause instanceof FrameError) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    throw malformedFrame(`no well-formed ${what}: ${why}`, cause)
  }
}

function fromWireResponse({ id, answer }: Response): IncomingResponse {
  switch (answer?.$case) {
    case 'pathInfo':
      return { id, answer: fromWirePathInfoAnswer(answer.pathInfo) }
    case 'directories':
      return { id, answer: { type: 'directories', encoded: answer.directories.directories } }
    case 'layout':
      return { id, answer: fromWireLayoutAnswer(answer.layout) }
    case 'chunks':
      return { id, answer: { type: 'chunks', chunks: answer.chunks.chunks } }
    case 'availability':
      return { id, answer: fromWireAvailability(answer.availability) }
    case 'filter':
      return { id, answer: fromWireFilter(answer.filter) }
    case 'pull':
      return { id, answer: fromWirePull(answer.pull) }
    case 'absent':
      return { id, answer: { type: 'absent', indices: answer.absent.indices } }
    case 'refused':
      return { id, answer: { type: 'refused', reason: answer.refused.reason.slice(0, 200) } }
    case 'done':
      return { id, answer: { type: 'done' } }
    case undefined:
      throw malformedFrame('a response holds an answer')
  }
}

function wireWant(want: Want | 'cancel'): NonNullable<Request['want']> {
  if (want === 'cancel') return { $case: 'cancel', cancel: {} }
  const bytesOf = (digests: readonly Digest[]): Uint8Array[] => digests.map((it) => it.bytes)
  switch (want.type) {
    case 'path-infos':
      return { $case: 'pathInfos', pathInfos: { hashes: [...want.hashes] } }
    case 'closure':
      return { $case: 'closure', closure: { root: want.root.bytes } }
    case 'directories':
      return { $case: 'directories', directories: { digests: bytesOf(want.digests) } }
    case 'layouts':
      return {
        $case: 'layouts',
        layouts: { digests: bytesOf(want.digests), outboards: want.outboards ?? false },
      }
    case 'chunks':
      return {
        $case: 'chunks',
        chunks: { digests: bytesOf(want.digests), packed: want.packed ?? false },
      }
    case 'swarm':
      return { $case: 'swarm', swarm: { root: want.root.bytes, pieces: want.pieces } }
    case 'filter':
      return { $case: 'filter', filter: { key: want.key } }
    case 'pull':
      return { $case: 'pull', pull: { name: want.name.bytes } }
  }
}

function wireAnswer(answer: Exclude<Answer, { type: 'chunks' }>): NonNullable<Response['answer']> {
  switch (answer.type) {
    case 'path-info':
      return pathInfoAnswer(answer.index, answer.pathInfo)
    case 'directories':
      return { $case: 'directories', directories: { directories: [...answer.encoded] } }
    case 'layout':
      return layoutAnswer(answer)
    case 'availability':
      return availabilityAnswer(answer.availability)
    case 'filter':
      return filterAnswer(answer.news)
    case 'pull':
      return pullAnswer(answer.news)
    case 'absent':
      return { $case: 'absent', absent: { indices: [...answer.indices] } }
    case 'refused':
      return { $case: 'refused', refused: { reason: answer.reason } }
    case 'done':
      return { $case: 'done', done: {} }
  }
}

function pathInfoAnswer(index: number, pathInfo: PathInfo): NonNullable<Response['answer']> {
  return { $case: 'pathInfo', pathInfo: { index, pathInfo: toWireSigned(pathInfo) } }
}

function availabilityAnswer({
  complete = false,
  held,
  added = [],
  claimed = [],
  released = [],
  division = { members: 0, rank: 0 },
}: Availability): NonNullable<Response['answer']> {
  const lists = { added: [...added], claimed: [...claimed], released: [...released] }
  return { $case: 'availability', availability: { complete, held, ...lists, ...division } }
}

function filterAnswer({
  snapshotBytes,
  bits = NOTHING,
  added = NOTHING,
}: FilterNews): NonNullable<Response['answer']> {
  return { $case: 'filter', filter: { snapshotBytes, bits, added } }
}

function pullAnswer({
  phase,
  run,
  pulledBytes,
  chunks,
}: PullNews): NonNullable<Response['answer']> {
  const digests = concatBytes(chunks.map(({ digest }) => digest.bytes))
  const sizes = chunks.map(({ size }) => size)
  const phases = { pulling: phase !== 'waiting', complete: phase === 'complete' }
  return { $case: 'pull', pull: { ...phases, run, pulledBytes, digests, sizes } }
}

function layoutAnswer({
  index,
  layout,
  outboard,
}: Extract<Answer, { type: 'layout' }>): NonNullable<Response['answer']> {
  return { $case: 'layout', layout: { index, layout: toWireLayout(layout), outboard } }
}

/*
 * Response { 1 id · 5 ChunksAnswer { 1 ChunkAnswer { 1 index · 3 size · 2 data } } }, by hand so
 * that the data of large chunks goes out from where it lies; small ones are copied together.
 */
function encodeChunks(id: number, chunks: readonly ChunkAnswer[]): Uint8Array[] {
  const heads = chunks.map(({ index, data, size }) => {
    const packed = size === undefined ? [] : [0x18, ...varint(size)]
    const inner = [0x08, ...varint(index), ...packed, 0x12, ...varint(data.length)]
    return [0x0a, ...varint(inner.length + data.length), ...inner]
  })
  const bytes = heads.reduce((sum, head, i) => sum + head.length + chunks[i]!.data.length, 0)
  const first = [0x08, ...varint(id), 0x2a, ...varint(bytes)]
  const copied = chunks.map(({ data }) => (data.length <= COPY_BYTES_MAX ? data.length : 0))
  const staging = Buffer.allocUnsafe(
    heads.reduce((sum, head, i) => sum + head.length + copied[i]!, first.length),
  )
  const pieces: Uint8Array[] = []
  let begin = 0
  staging.set(first)
  let end = first.length
  for (const [i, { data }] of chunks.entries()) {
    staging.set(heads[i]!, end)
    end += heads[i]!.length
    if (data.length <= COPY_BYTES_MAX) {
      staging.set(data, end)
      end += data.length
    } else {
      pieces.push(staging.subarray(begin, end), data)
      begin = end
    }
  }
  if (end > begin) pieces.push(staging.subarray(begin, end))
  return pieces
}

function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  while (rest > 0x7f) {
    bytes.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
  return bytes
}
