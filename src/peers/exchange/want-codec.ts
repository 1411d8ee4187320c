import { fromWireLayout } from '../../castore/blob-layout-codec.ts'
import { DIGEST_BYTES, Digest } from '../../foundation/digest.ts'
import type {
  AvailabilityAnswer,
  FilterAnswer,
  LayoutAnswer,
  PathInfoAnswer,
  PullAnswer,
  Request,
} from '../../generated/cairn/exchange/v1/exchange.ts'
import { STORE_PATH_HASH_BYTES } from '../../nix/store-path.ts'
import { fromWireSigned } from '../../pathinfo/path-info-codec.ts'
import { FILTER_KEY_BYTES } from '../filters/sip-hash.ts'
import { TOLD_AT_ONCE } from '../pulls/pull-news.ts'
import { malformedFrame } from './frame-error.ts'
import { type Answer, WANTS_MAX, type Want } from './want.ts'

/** What a request's message asks for. @throws FrameError where it breaks a limit */
export function fromWireWant(
  want: Exclude<Request['want'], undefined | { $case: 'cancel' }>,
): Want {
  switch (want.$case) {
    case 'pathInfos':
      return { type: 'path-infos', hashes: checkedHashes(want.pathInfos.hashes) }
    case 'closure':
      return { type: 'closure', root: Digest.of(want.closure.root) }
    case 'directories':
      return { type: 'directories', digests: checkedDigests(want.directories.digests) }
    case 'layouts':
      return {
        type: 'layouts',
        digests: checkedDigests(want.layouts.digests),
        ...(want.layouts.outboards ? { outboards: true } : {}),
      }
    case 'chunks':
      return {
        type: 'chunks',
        digests: checkedDigests(want.chunks.digests),
        ...(want.chunks.packed ? { packed: true } : {}),
      }
    case 'swarm':
      return {
        type: 'swarm',
        root: Digest.of(want.swarm.root),
        pieces: Digest.of(want.swarm.pieces).bytes,
      }
    case 'filter':
      return { type: 'filter', key: checkedKey(want.filter.key) }
    case 'pull':
      return { type: 'pull', name: Digest.of(want.pull.name) }
  }
}

/** A PathInfo answer of its message. @throws FrameError, PathInfoError */
export function fromWirePathInfoAnswer(message: PathInfoAnswer): Answer {
  if (message.pathInfo === undefined) throw malformedFrame('a PathInfo answer holds a PathInfo')
  return { type: 'path-info', index: message.index, pathInfo: fromWireSigned(message.pathInfo) }
}

/** A chunk list answer of its message. @throws FrameError, CastoreError */
export function fromWireLayoutAnswer(message: LayoutAnswer): Answer {
  if (message.layout === undefined) throw malformedFrame('a layout answer holds a layout')
  const { index, outboard } = message
  const layout = fromWireLayout(message.layout)
  return { type: 'layout', index, layout, ...(outboard === undefined ? {} : { outboard }) }
}

/** What a member of a swarm has, of its message. */
export function fromWireAvailability(message: AvailabilityAnswer): Answer {
  const { complete, held, added, claimed, released, members, rank } = message
  const division = members === 0 ? {} : { division: { members, rank } }
  const availability = { complete, added, claimed, released, ...(held && { held }), ...division }
  return { type: 'availability', availability }
}

/** What is told of a filter, of its message. */
export function fromWireFilter({ snapshotBytes, bits, added }: FilterAnswer): Answer {
  return {
    type: 'filter',
    news: { bits, added, ...(snapshotBytes !== undefined && { snapshotBytes }) },
  }
}

/** What is told of a pull, of its message. @throws FrameError */
export function fromWirePull(message: PullAnswer): Answer {
  const { pulling, complete, run, pulledBytes, digests, sizes } = message
  if (sizes.length > TOLD_AT_ONCE || digests.length !== sizes.length * DIGEST_BYTES) {
    throw malformedFrame(`${digests.length} bytes of digests for ${sizes.length} chunks`)
  }
  const chunks = sizes.map((size, i) => {
    if (size === 0) throw malformedFrame('a chunk has a byte at least')
    // Copied: a view would keep the whole frame.
    const bytes = Uint8Array.from(digests.subarray(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES))
    return { digest: Digest.of(bytes), size }
  })
  const phase = complete ? 'complete' : pulling ? 'pulling' : 'waiting'
  return { type: 'pull', news: { phase, run, pulledBytes, chunks } }
}

function checkedKey(key: Uint8Array): Uint8Array {
  if (key.length !== FILTER_KEY_BYTES) {
    throw malformedFrame(`the key of a filter has ${FILTER_KEY_BYTES} bytes, not ${key.length}`)
  }
  return key
}

function checkedDigests(digests: readonly Uint8Array[]): Digest[] {
  checkCount(digests.length)
  return digests.map((bytes) => Digest.of(bytes))
}

function checkedHashes(hashes: readonly Uint8Array[]): readonly Uint8Array[] {
  checkCount(hashes.length)
  for (const { length } of hashes) {
    if (length !== STORE_PATH_HASH_BYTES) {
      throw malformedFrame(`the hash part of a store path has ${STORE_PATH_HASH_BYTES} bytes`)
    }
  }
  return hashes
}

function checkCount(count: number): void {
  if (count === 0 || count > WANTS_MAX) {
    throw malformedFrame(`a request names 1 to ${WANTS_MAX} things, not ${count}`)
  }
}
