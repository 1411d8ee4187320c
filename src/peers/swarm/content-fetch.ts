import type { Directory } from '../../castore/model/directory.ts'
import type { Node } from '../../castore/model/node.ts'
import type { Call } from '../../foundation/call.ts'
import type { FetchProgress } from '../../substitution/fetch-progress.ts'
import { peerError } from '../peer-error.ts'
import { ChunkFetch } from './chunk-fetch.ts'
import type { ContentFetchComponents, WantedBlob } from './content-fetch-components.ts'
import { fetchDirectories, leavesFirst } from './directory-fetch.ts'
import type { HolderSet } from './holder-set.ts'
import { fetchLayouts } from './layout-fetch.ts'
import { LayoutSuspects } from './layout-suspects.ts'

/** How many blobs are looked up in the local store at once. */
const LOOKUP_BLOBS = 1024

/**
 * Brings all content below a root into the castore, from all its holders at once, and only what is
 * not held already. Everything is checked on arrival; contents go in before what refers to them.
 * @throws PeerError 'no-holder' where nobody who is left has what is missing
 */
export async function fetchContent(
  root: Node,
  holders: HolderSet,
  components: ContentFetchComponents,
  progress: FetchProgress,
  call: Call,
): Promise<void> {
  if (root.type === 'symlink') return
  const directories =
    root.type === 'directory' ? await fetchDirectories(root.digest, holders, components, call) : []
  const blobs = root.type === 'file' ? [root] : blobsOf(directories)
  progress.filesTotal = blobs.length
  progress.bytesTotal = blobs.reduce((sum, blob) => sum + blob.size, 0)

  let missing = await missingBlobs(blobs, components, call)
  progress.filesDone = blobs.length - missing.length
  progress.bytesDone = progress.bytesTotal - missing.reduce((sum, blob) => sum + blob.size, 0)
  const suspects = new LayoutSuspects()
  while (missing.length > 0) {
    missing = await fetchBlobs(missing, holders, components, suspects, progress, call)
  }
  await components.castore.directories.put(leavesFirst(directories), call)
}

/**
 * One round: returns the blobs whose layouts were wrong. Their givers are banned, or not asked for
 * them again, so that rounds do end.
 */
async function fetchBlobs(
  blobs: readonly WantedBlob[],
  holders: HolderSet,
  components: ContentFetchComponents,
  suspects: LayoutSuspects,
  progress: FetchProgress,
  call: Call,
): Promise<WantedBlob[]> {
  const { client, ledger } = components
  const layouts = await fetchLayouts(blobs, holders, components, suspects, call)
  const fetch = new ChunkFetch(components, { holders, progress })
  const { falsehoods, stuck, failure } = await fetch.run(layouts, call)
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

/** Every distinct blob that the Directories refer to. */
function blobsOf(directories: readonly Directory[]): WantedBlob[] {
  const blobs = new Map<string, WantedBlob>()
  for (const directory of directories) {
    for (const { node } of directory.entries) {
      if (node.type === 'file') blobs.set(node.digest.hex, node)
    }
  }
  return [...blobs.values()]
}

async function missingBlobs(
  blobs: readonly WantedBlob[],
  { castore }: ContentFetchComponents,
  call: Call,
): Promise<WantedBlob[]> {
  const missing: WantedBlob[] = []
  for (let i = 0; i < blobs.length; i += LOOKUP_BLOBS) {
    const batch = blobs.slice(i, i + LOOKUP_BLOBS)
    const layouts = await castore.blobs.layouts(
      batch.map((blob) => blob.digest),
      call,
    )
    missing.push(...batch.filter((_, at) => layouts[at] === undefined))
  }
  return missing
}
