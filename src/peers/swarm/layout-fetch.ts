import type { ChunkRef } from '../../castore/blob-store.ts'
import { CHUNK_BYTES_MAX, CHUNK_BYTES_MIN } from '../../castore/chunking/fast-cdc.ts'
import { Outboard } from '../../castore/verified/outboard.ts'
import { TreeShape } from '../../castore/verified/tree-shape.ts'
import type { Call } from '../../foundation/call.ts'
import { readAhead } from '../../foundation/read-ahead.ts'
import type { AnswerItem } from '../exchange/exchange-session.ts'
import { peerError } from '../peer-error.ts'
import { askInTurn } from './ask-in-turn.ts'
import type {
  ContentFetchComponents,
  SourcedLayout,
  WantedBlob,
} from './content-fetch-components.ts'
import type { HolderSet } from './holder-set.ts'
import type { LayoutSuspects } from './layout-suspects.ts'

/** How many chunk lists one request asks for. */
const LAYOUTS_PER_REQUEST = 256

/** How many requests are under way beyond the one whose answer is awaited. */
const REQUESTS_AHEAD = 3

/**
 * Blobs longer than this are proven as they come, so that a false chunk list is found out soon.
 * For shorter ones the end comes soon enough, in bytes.
 */
export const PROVEN_BLOB_BYTES = 4 * 1024 * 1024

/** How many bytes of outboards are asked for at once, for the first of the blobs. */
export const FETCHED_OUTBOARD_BYTES_MAX = 32 * 1024 * 1024

/** About how many bytes a chunk takes up in a list, for the cap on what is in flight. */
const CHUNK_REF_BYTES = 40

/**
 * How blobs are cut into chunks. A blob up to the smallest chunk size is one chunk, as everybody
 * cuts it; for the others the holders are asked, each only for what it has not misled us about.
 * The lists are hints: what they lead to is hashed.
 * @throws PeerError 'no-holder'
 */
export async function fetchLayouts(
  blobs: readonly WantedBlob[],
  holders: HolderSet,
  components: ContentFetchComponents,
  suspects: LayoutSuspects,
  call: Call,
): Promise<SourcedLayout[]> {
  const layouts: SourcedLayout[] = []
  let unknown: WantedBlob[] = []
  for (const blob of blobs) {
    const { digest, size } = blob
    if (size > CHUNK_BYTES_MIN) unknown.push(blob)
    else layouts.push({ blob, layout: size === 0 ? [] : [{ digest, size }], peer: '' })
  }
  if (unknown.length === 0) return layouts
  const { whole, failure } = await askInTurn(
    holders,
    components,
    async (peer) => {
      const askable = unknown.filter((blob) => !suspects.has(blob, peer))
      const proven = new Set(provenOf(askable))
      const others = askable.filter((blob) => !proven.has(blob))
      const found = new Map<string, SourcedLayout>()
      await askForLayouts(peer, [...proven], found, { outboards: true }, components, call)
      await askForLayouts(peer, others, found, {}, components, call)
      layouts.push(...found.values())
      unknown = unknown.filter((blob) => !found.has(blob.digest.hex))
      return unknown.length === 0 ? 'enough' : 'more'
    },
    call,
  )
  if (!whole) throw peerError({ code: 'no-holder', digest: unknown[0]!.digest.hex }, failure)
  return layouts
}

/** Of which blobs outboards are asked for. */
function provenOf(blobs: readonly WantedBlob[]): WantedBlob[] {
  let room = FETCHED_OUTBOARD_BYTES_MAX
  return blobs.filter(({ size }) => {
    const { outboardBytes } = new TreeShape(size)
    if (size <= PROVEN_BLOB_BYTES || outboardBytes > room) return false
    room -= outboardBytes
    return true
  })
}

async function askForLayouts(
  peer: string,
  blobs: readonly WantedBlob[],
  found: Map<string, SourcedLayout>,
  init: { readonly outboards?: boolean },
  components: ContentFetchComponents,
  call: Call,
): Promise<void> {
  const batches: WantedBlob[][] = []
  for (let i = 0; i < blobs.length; i += LAYOUTS_PER_REQUEST) {
    batches.push(blobs.slice(i, i + LAYOUTS_PER_REQUEST))
  }
  const ask = (batch: readonly WantedBlob[]): Promise<void> =>
    askForBatch(peer, batch, found, init, components, call)
  for await (const _ of readAhead(batches, REQUESTS_AHEAD, ask));
}

async function askForBatch(
  peer: string,
  batch: readonly WantedBlob[],
  found: Map<string, SourcedLayout>,
  init: { readonly outboards?: boolean },
  components: ContentFetchComponents,
  call: Call,
): Promise<void> {
  const digests = batch.map((blob) => blob.digest)
  const want = { type: 'layouts', digests, ...init } as const
  const bytes = batch.reduce((sum, blob) => sum + chunksAtMost(blob) * CHUNK_REF_BYTES, 0)
  const onAnswer = (answer: AnswerItem): void => {
    if (answer.type === 'absent') return
    const blob = answer.type === 'layout' ? batch[answer.index] : undefined
    if (answer.type !== 'layout' || blob === undefined) {
      const what = `${answer.type} instead of a chunk list`
      throw peerError({ code: 'protocol-broken', peer, what })
    }
    if (found.has(blob.digest.hex)) {
      throw peerError({ code: 'protocol-broken', peer, what: 'two chunk lists of one blob' })
    }
    if (!isPlausible(blob, answer.layout)) {
      throw peerError({ code: 'content-corrupt', peer, digest: blob.digest.hex })
    }
    const { layout } = answer
    const outboard = outboardOf(blob, answer.outboard, peer)
    found.set(blob.digest.hex, { blob, layout, outboard, peer })
  }
  await components.client.ask(peer, { want, bytes, onAnswer }, call)
}

function outboardOf(
  { digest, size }: WantedBlob,
  bytes: Uint8Array | undefined,
  peer: string,
): Outboard | undefined {
  try {
    return bytes === undefined ? undefined : new Outboard(digest, size, bytes)
  } catch (cause) {
    throw peerError({ code: 'content-corrupt', peer, digest: digest.hex }, cause)
  }
}

/** Chunks add up to the blob, none is larger than a chunk may be, and a single one is the blob. */
export function isPlausible(blob: WantedBlob, layout: readonly ChunkRef[]): boolean {
  const size = layout.reduce((sum, chunk) => sum + chunk.size, 0)
  if (size !== blob.size || layout.length > chunksAtMost(blob)) return false
  if (layout.length === 1) return layout[0]!.digest.equals(blob.digest)
  return layout.every((chunk) => chunk.size <= CHUNK_BYTES_MAX)
}

function chunksAtMost(blob: WantedBlob): number {
  return Math.ceil(blob.size / CHUNK_BYTES_MIN)
}
