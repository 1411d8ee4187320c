import type { ChunkRef } from '../../castore/blob-store.ts'
import { leavesFirst } from '../../castore/leaves-first.ts'
import type { Directory } from '../../castore/model/directory.ts'
import type { Node } from '../../castore/model/node.ts'
import { BitSet } from '../../foundation/bit-set.ts'
import type { Call } from '../../foundation/call.ts'
import type { FetchProgress } from '../../substitution/fetch-progress.ts'
import { peerError } from '../peer-error.ts'
import { BlobIntake } from './blob-intake.ts'
import type {
  ContentFetchComponents,
  SourcedLayout,
  WantedBlob,
} from './content-fetch-components.ts'
import { fetchDirectories } from './directory-fetch.ts'
import type { HolderSet } from './holder-set.ts'
import { fetchLayouts } from './layout-fetch.ts'
import { LayoutSuspects } from './layout-suspects.ts'
import { MemberWatch, type MemberWatchComponents } from './member-watch.ts'
import { PieceExchange } from './piece-exchange.ts'
import { PieceFetch } from './piece-fetch.ts'
import { PieceList } from './piece-list.ts'
import type { Swarm } from './swarm.ts'
import { SwarmView } from './swarm-view.ts'

/** How many blobs are looked up in the local store at once. */
const LOOKUP_BLOBS = 1024

/** Less than this is fetched without looking for others at it: that would take longer. */
export const SWARM_BYTES_MIN = 256 * 1024

/**
 * Where the nodes of a fleet each pull some paths from a cache for all, shorter paths than this, in
 * bytes of their NARs, are not shared while they come, nor fetched by a swarm: who pulled one gives
 * it to the others, and has theirs from them.
 */
export const SPREAD_BYTES_MIN = 2 * 1024 * 1024

/** A swarm that a fetch takes part in, and what it needs for that. */
export interface SwarmPart {
  readonly swarm: Swarm
  /** The id of this node. */
  readonly self: string
  readonly network: MemberWatchComponents['network']
}

/** What else a fetch does. */
export interface ContentFetchInit {
  /** A swarm that it takes part in; without one nobody is told of it. */
  readonly part?: SwarmPart | undefined
  /** Takes all Directories below the root before any blob is fetched. @throws to end the fetch */
  readonly onDirectories?: (directories: readonly Directory[]) => Promise<void>
}

/** The blobs below a root; of those that are held, how they are cut. */
interface Inventory {
  readonly blobs: readonly WantedBlob[]
  readonly held: ReadonlyMap<string, readonly ChunkRef[]>
}

/**
 * Brings all content below a root into the castore, from all its holders at once, and only what is
 * not held already; with a `part` in a swarm, others have what is here at once, and are asked for
 * what they have. Everything is checked on arrival; contents go in before what refers to them.
 * @throws PeerError 'no-holder' where nobody who is left has what is missing
 */
export async function fetchContent(
  root: Node,
  holders: HolderSet,
  components: ContentFetchComponents,
  progress: FetchProgress,
  call: Call,
  { part, onDirectories }: ContentFetchInit = {},
): Promise<void> {
  if (root.type === 'symlink') return
  const counting = { ...components, progress }
  const directories =
    root.type === 'directory' ? await fetchDirectories(root.digest, holders, counting, call) : []
  await onDirectories?.(directories)
  const ordered = leavesFirst(directories)
  const inventory = await takeStock(
    root.type === 'file' ? [root] : blobsOf(ordered),
    components,
    call,
  )
  let missing = inventory.blobs.filter(({ digest }) => !inventory.held.has(digest.hex))
  const missingBytes = missing.reduce((sum, blob) => sum + blob.size, 0)
  progress.filesTotal = inventory.blobs.length
  progress.bytesTotal = inventory.blobs.reduce((sum, blob) => sum + blob.size, 0)
  progress.filesDone = inventory.blobs.length - missing.length
  progress.bytesDone = progress.bytesTotal - missingBytes
  const suspects = new LayoutSuspects()
  const round = { holders, components, suspects, progress }
  let shared = missingBytes >= SWARM_BYTES_MIN ? part : undefined
  while (missing.length > 0) {
    missing = await fetchBlobs(missing, { ...round, inventory, directories, part: shared }, call)
    // What is left now was cut otherwise than it seemed, and so by nobody else like this.
    shared = undefined
  }
  await components.castore.directories.put(ordered, call)
}

interface Round {
  readonly inventory: Inventory
  readonly directories: readonly Directory[]
  readonly holders: HolderSet
  readonly components: ContentFetchComponents
  readonly suspects: LayoutSuspects
  readonly progress: FetchProgress
  readonly part: SwarmPart | undefined
}

/**
 * One round: returns the blobs whose layouts were wrong. Their givers are banned, or not asked for
 * them again, so that rounds do end.
 */
async function fetchBlobs(
  blobs: readonly WantedBlob[],
  round: Round,
  call: Call,
): Promise<WantedBlob[]> {
  const { components, holders, suspects, inventory } = round
  const { client, ledger } = components
  const partsAreHere = inventory.held.size > 0
  const init = { suspects, partsAreHere }
  const layouts = await fetchLayouts(blobs, holders, components, init, call)
  const { falsehoods, stuck, failure } = await fetchPieces(layouts, round, call)
  const wrong = new Set([...falsehoods, ...stuck])
  const lies = layouts.filter((it) => !wrong.has(it)).flatMap((it) => suspects.disprovedBy(it))
  for (const { peer, blob } of [...falsehoods, ...lies]) {
    const fault = { code: 'content-corrupt', peer, digest: blob.digest.hex } as const
    client.reportError(peer, peerError(fault))
  }
  for (const sourced of stuck) {
    suspects.add(sourced)
    if (suspects.leaves(sourced.blob, holders, ledger)) continue
    throw peerError({ code: 'no-holder', digest: sourced.blob.digest.hex }, failure)
  }
  return [...wrong].map(({ blob }) => blob)
}

/** What came of fetching blobs by their layouts. */
interface Outcome {
  /** Layouts that turned out to be lies. */
  readonly falsehoods: readonly SourcedLayout[]
  /** Layouts that name chunks that nobody who is left has: wrong perhaps, or just unlucky. */
  readonly stuck: readonly SourcedLayout[]
  /** The last failure of a holder, for saying why. */
  readonly failure: unknown
}

/** @throws PeerError 'no-holder' where nobody who is left has a blob of one chunk */
async function fetchPieces(
  layouts: readonly SourcedLayout[],
  round: Round,
  call: Call,
): Promise<Outcome> {
  const { components, holders, progress, part } = round
  const pieces = PieceList.of(
    part === undefined ? layouts.map((it) => it.layout) : all(round, layouts),
  )
  const intake = new BlobIntake({ castore: components.castore, progress }, { pieces, layouts })
  await intake.takeHeld(call)
  const sizes = Array.from({ length: pieces.size }, (_, piece) => intake.bytesMissing(piece))
  const view = new SwarmView({ self: part?.self ?? '', sizes })
  const transport = new PieceExchange(
    { client: components.client, ledger: components.ledger, intake, pieces, progress },
    { whole: call },
  )
  const fetch = new PieceFetch({ ...components, view, transport }, listenerOf(part))
  intake.onDropped((dropped) => fetch.drop(dropped))
  for (const peer of holders) fetch.meetComplete(peer)
  using _listening = holders.onAdd((peer) => fetch.meetComplete(peer))
  try {
    if (part === undefined) await fetch.run(call)
    else await fetchTogether(part, { fetch, pieces, sizes }, round, call)
  } finally {
    intake.end()
  }
  const failure = fetch.lastFailure
  const single = intake.missingSingle()
  if (single !== undefined) throw peerError({ code: 'no-holder', digest: single.hex }, failure)
  return { falsehoods: intake.falsehoods, stuck: intake.stuck, failure }
}

async function fetchTogether(
  { swarm, network }: SwarmPart,
  work: {
    readonly fetch: PieceFetch
    readonly pieces: PieceList
    readonly sizes: readonly number[]
  },
  { components, directories, inventory, holders }: Round,
  call: Call,
): Promise<void> {
  const { fetch, pieces, sizes } = work
  const held = new BitSet(pieces.size)
  for (const [piece, bytes] of sizes.entries()) if (bytes === 0) held.add(piece)
  const blobs = inventory.blobs.map(({ digest }) => digest)
  swarm.prepare({ pieces, directories, blobs, held })
  swarm.onAwaited((awaited) => fetch.hurry(awaited))
  const watch = new MemberWatch({ ...components, network }, { swarm, pieces, fetch })
  await watch.during(holders, () => fetch.run(call), call)
}

function listenerOf(part: SwarmPart | undefined): ConstructorParameters<typeof PieceFetch>[1] {
  if (part === undefined) return {}
  const { swarm } = part
  return {
    onHere: (piece) => swarm.holds(piece),
    onClaims: (pieces, isFetching) => swarm.claims(pieces, isFetching),
  }
}

/** How all blobs are cut, held or not, in the order in which everybody goes through them. */
function* all(
  { inventory }: Round,
  layouts: readonly SourcedLayout[],
): Generator<readonly ChunkRef[]> {
  const missing = new Map(layouts.map(({ blob, layout }) => [blob.digest.hex, layout]))
  for (const { digest } of inventory.blobs) {
    yield missing.get(digest.hex) ?? inventory.held.get(digest.hex) ?? []
  }
}

/** Every distinct blob that the Directories refer to, in their order. */
function blobsOf(directories: readonly Directory[]): WantedBlob[] {
  const blobs = new Map<string, WantedBlob>()
  for (const directory of directories) {
    for (const { node } of directory.entries) {
      if (node.type === 'file') blobs.set(node.digest.hex, node)
    }
  }
  return [...blobs.values()]
}

async function takeStock(
  blobs: readonly WantedBlob[],
  { castore }: ContentFetchComponents,
  call: Call,
): Promise<Inventory> {
  const held = new Map<string, readonly ChunkRef[]>()
  for (let i = 0; i < blobs.length; i += LOOKUP_BLOBS) {
    const batch = blobs.slice(i, i + LOOKUP_BLOBS)
    const layouts = await castore.blobs.layouts(
      batch.map((blob) => blob.digest),
      call,
    )
    for (const [at, { digest }] of batch.entries()) {
      const layout = layouts[at]
      if (layout !== undefined) held.set(digest.hex, layout)
    }
  }
  return { blobs, held }
}
