import { DigestSet } from '../castore/digest-set.ts'
import type { Leases } from '../castore/leases.ts'
import { DirectoryNode, FileNode, type Node } from '../castore/model/node.ts'
import type { RecordKeeper } from '../castore/record-keeper.ts'
import type { RecordKind, RecordName } from '../castore/record-store.ts'
import type { Call } from '../foundation/call.ts'
import { type Clock, DeadlineError, withDeadline } from '../foundation/clock.ts'
import { Digest } from '../foundation/digest.ts'
import type { Log } from '../foundation/log.ts'
import type { NamedDocumentStore } from '../pathinfo/named-document-store.ts'
import type { LocalPathInfoStore } from '../pathinfo/path-info-store.ts'
import type { UploadedNarStore } from '../pathinfo/uploaded-nar-store.ts'
import { walkContent } from './content-walk.ts'
import { LiveContent } from './live-content.ts'
import type { PathUses } from './path-uses.ts'
import type { Pins } from './pins.ts'
import { RetentionError } from './retention-error.ts'
import { retentionOrder } from './retention-order.ts'
import { type SurveyedPath, surveyPaths } from './survey.ts'

/** Content that came within so many milliseconds stays, though nothing refers to it yet. */
export const YOUNG_MS = 3_600_000

/** How long a collection waits for those who were at work with content when it began. */
export const LEASES_MS = 600_000

/** What a collection works with. */
export interface CollectionComponents {
  readonly keeper: RecordKeeper
  readonly pathInfos: LocalPathInfoStore
  readonly uploads: Pick<UploadedNarStore, 'narAt' | 'fileAt'>
  readonly documents: Pick<NamedDocumentStore, 'digests'>
  readonly uses: PathUses
  readonly pins: Pins
  readonly leases: Leases
  readonly clock: Clock
  readonly log: Log
}

/** What is to be kept. */
export interface CollectionBounds {
  /** Stored bytes of content that paths may take up. */
  readonly maxBytes?: number | undefined
  /** Paths go that nobody asked for within so many milliseconds. */
  readonly maxAgeMs?: number | undefined
  /**
   * How long content stays that nothing refers to, in milliseconds; {@link YOUNG_MS} by default. 0
   * is for owners who know that nobody is putting anything by hand.
   */
  readonly youngMs?: number | undefined
  readonly isDryRun?: boolean | undefined
}

/** What a collection found, and, unless it was a dry run, removed. */
export interface Collected {
  /** The paths that go, those that were used last first. */
  readonly paths: readonly { readonly storePath: string; readonly narSize: number }[]
  readonly pathsKept: number
  /** Records of content that go, and what they take up in storage, in bytes. */
  readonly records: number
  readonly bytes: number
  /** Content of the paths that stay: bytes of chunks, each counted once. */
  readonly liveBytes: number
}

interface Plan {
  readonly live: LiveContent
  readonly leaving: readonly SurveyedPath[]
  readonly beforeMs: number
  readonly bounds: CollectionBounds
}

/** In this order they go: what refers to something before that. */
const KINDS = ['directory', 'layout', 'outboard', 'chunk'] as const

/**
 * Lets go of paths beyond the bounds and of content that nothing refers to, while everybody works
 * on: what is to go is condemned first; what anybody asked for or put since the beginning, or does
 * until the end, stays; and the rest goes only when all those have ended who were at work before,
 * and what they made of it has been looked at.
 */
export async function collect(
  components: CollectionComponents,
  bounds: CollectionBounds,
  call: Call,
): Promise<Collected> {
  const { keeper, pathInfos, clock } = components
  if (bounds.isDryRun !== true) keeper.watch()
  try {
    const live = new LiveContent({ keeper })
    const { youngMs = YOUNG_MS } = bounds
    const beforeMs = youngMs === 0 ? Number.POSITIVE_INFINITY : clock.now() - youngMs
    const { kept, staying, leaving } = await choosePaths(components, bounds, live, call)
    const uploads = await markOthers(components, { live, leaving, beforeMs }, call)
    const { going, ...found } = await condemn(components, { live, leaving, beforeMs, bounds }, call)
    const report: Collected = {
      paths: leaving.map(({ storePath, narSize }) => ({ storePath, narSize })),
      pathsKept: kept,
      ...found,
      liveBytes: live.bytes,
    }
    if (bounds.isDryRun === true) return report
    if (leaving.length > 0) {
      await pathInfos.remove(
        leaving.map(({ hash }) => hash),
        call,
      )
    }
    await endOfLeases(components, call)
    await pardonArrivals(components, staying, call)
    await pardonContents(components, going, call)
    await keeper.removeCondemned(call)
    await keeper.remove([...uploads, ...leaving.map(useOf)], call)
    await keeper.sync(call)
    return report
  } finally {
    if (bounds.isDryRun !== true) keeper.pardonAll()
  }
}

/** Goes from the most valuable path to the least, until one bound is reached; marks what stays. */
async function choosePaths(
  components: CollectionComponents,
  { maxBytes = Infinity, maxAgeMs = Infinity }: CollectionBounds,
  live: LiveContent,
  call: Call,
): Promise<{ kept: number; staying: SurveyedPath[]; leaving: SurveyedPath[] }> {
  const { keeper, clock } = components
  const nowMs = clock.now()
  const paths = await surveyPaths(components, nowMs, call)
  const byKey = new Map(paths.map((path) => [path.key, path]))
  const order = retentionOrder(paths)
  // Bounds are about storage; what a path takes of it is reckoned by what all content does.
  const { bytes, storedBytes } = keeper.totals('chunk')
  const contentBytesMax = bytes === 0 ? Infinity : (maxBytes * bytes) / storedBytes
  let kept = 0
  for (const { key, usedMs, isPinned } of order) {
    call.signal.throwIfAborted()
    const { node } = byKey.get(key)!
    if (!isPinned && nowMs - usedMs > maxAgeMs) break
    const share = await live.share([node], call)
    if (!isPinned && live.bytes + share.bytes > contentBytesMax) break
    live.add(share)
    kept++
  }
  const chosen = order.map(({ key }) => byKey.get(key)!)
  return { kept, staying: chosen.slice(0, kept), leaving: chosen.slice(kept) }
}

/**
 * Marks what is kept beside paths: documents, and uploads that are young or whose content stays,
 * but not those that became a path which goes.
 * Says which records of uploads go.
 */
async function markOthers(
  { keeper, uploads, documents }: CollectionComponents,
  { live, leaving, beforeMs }: Pick<Plan, 'live' | 'leaving' | 'beforeMs'>,
  call: Call,
): Promise<RecordName[]> {
  const left = new Set(leaving.map(({ narSha256 }) => hexOf(narSha256)))
  const mark = async (node: Node): Promise<void> => live.add(await live.share([node], call))
  for await (const digest of documents.digests(call)) await mark(new FileNode(digest, BLOB, false))
  const going: RecordName[] = []
  const staying = new Set<string>()
  const oldNars = await keysBefore(keeper, 'uploaded-nar', beforeMs, call)
  for await (const key of keeper.keys('uploaded-nar', call)) {
    const nar = await uploads.narAt(key, call)
    if (nar === undefined) continue
    const isLeft = oldNars.has(hexOf(key)) || left.has(hexOf(nar.narSha256))
    if (isLeft && !isLive(live, nar.node)) {
      going.push({ kind: 'uploaded-nar', key })
      continue
    }
    staying.add(hexOf(nar.narSha256))
    await mark(nar.node)
  }
  for await (const key of keeper.keys('uploaded-file', call)) {
    const file = await uploads.fileAt(key, call)
    if (file === undefined) continue
    if (!staying.has(hexOf(file.narSha256))) going.push({ kind: 'uploaded-file', key })
    else if (file.kept !== undefined) await mark(new FileNode(file.kept, BLOB, false))
  }
  return going
}

/** A length that no blob of one small chunk has: it is looked up how the blob is cut. */
const BLOB = Number.MAX_SAFE_INTEGER

function isLive(live: LiveContent, node: Node): boolean {
  if (node.type === 'symlink') return false // there is nothing to lose
  if (node.type === 'directory') return live.has('directory', node.digest.bytes)
  return live.has('chunk', node.digest.bytes) || live.has('layout', node.digest.bytes)
}

async function keysBefore(
  keeper: RecordKeeper,
  kind: RecordKind,
  beforeMs: number,
  call: Call,
): Promise<Set<string>> {
  const keys = new Set<string>()
  for await (const records of keeper.records(kind, beforeMs, call)) {
    for (const { key } of records) keys.add(hexOf(key))
  }
  return keys
}

/**
 * Condemns old content that nothing refers to, and what only the paths that go refer to. Says which
 * of that refers to other content itself.
 */
async function condemn(
  { keeper }: CollectionComponents,
  plan: Plan,
  call: Call,
): Promise<{ records: number; bytes: number; going: RecordName[] }> {
  const { live, leaving, beforeMs, bounds } = plan
  const left = new LiveContent({ keeper })
  for (const { node } of leaving) left.add(await left.share([node], call))
  const found = { records: 0, bytes: 0 }
  const going: RecordName[] = []
  for (const kind of KINDS) {
    for await (const records of keeper.records(kind, Number.POSITIVE_INFINITY, call)) {
      const condemned = records.filter(
        ({ key, writtenMs }) =>
          !live.has(kind, key) && (writtenMs <= beforeMs || left.has(kind, key)),
      )
      for (const { storedBytes } of condemned) {
        found.records++
        found.bytes += storedBytes
      }
      if (bounds.isDryRun === true) continue
      const names = condemned.map(({ key }) => ({ kind, key }))
      keeper.condemn(names)
      if (kind === 'directory' || kind === 'layout') going.push(...names)
    }
  }
  return { ...found, going }
}

async function endOfLeases({ leases, clock }: CollectionComponents, call: Call): Promise<void> {
  try {
    await withDeadline(clock, LEASES_MS, 'waiting for those at work', call, (timed) =>
      leases.ended(timed),
    )
  } catch (cause) {
    call.signal.throwIfAborted()
    if (!(cause instanceof DeadlineError)) throw cause
    const what = 'something that began before has not ended yet; content stays until the next time'
    throw new RetentionError({ code: 'busy' }, what, { cause })
  }
}

/**
 * Has all pardoned that paths reach which came while the collection was under way, by asking for
 * it.
 * Those are found by looking, and not by what is told of them: a PathInfo may be there though its
 * putting failed, because the sync did.
 */
async function pardonArrivals(
  { keeper, pathInfos }: CollectionComponents,
  staying: readonly SurveyedPath[],
  call: Call,
): Promise<void> {
  const nodes = new Map(staying.map(({ hash, node }) => [hexOf(hash), node]))
  for await (const { storePath, node } of pathInfos.list(call)) {
    const surveyed = nodes.get(hexOf(storePath.hash))
    if (surveyed === undefined || !isSameNode(surveyed, node)) await pardon(keeper, [node], call)
  }
}

/** Has all pardoned that belongs to what is pardoned: who asked for it may ask for the rest. */
async function pardonContents(
  { keeper }: CollectionComponents,
  going: readonly RecordName[],
  call: Call,
): Promise<void> {
  const staying = going.filter((name) => !keeper.isCondemned(name))
  const nodes = staying.map(({ kind, key }) => {
    const digest = Digest.of(key)
    return kind === 'directory' ? new DirectoryNode(digest, 0) : new FileNode(digest, BLOB, false)
  })
  await pardon(keeper, nodes, call)
}

async function pardon(keeper: RecordKeeper, nodes: readonly Node[], call: Call): Promise<void> {
  const seen = { directory: new DigestSet(), blob: new DigestSet(), chunk: new DigestSet() }
  const isKnown = (kind: keyof typeof seen, digest: Uint8Array): boolean => !seen[kind].add(digest)
  for await (const batch of walkContent({ keeper }, nodes, isKnown, call)) {
    for (const { kind, digest } of batch) await keeper.sizes(kind, [digest], call)
  }
}

function isSameNode(a: Node, b: Node): boolean {
  if (a.type === 'symlink' || b.type === 'symlink') return a.type === b.type // has no content
  return a.type === b.type && a.size === b.size && a.digest.equals(b.digest)
}

function useOf({ hash }: SurveyedPath): RecordName {
  return { kind: 'use', key: hash }
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
