import type { Node } from '../castore/model/node.ts'
import type { Call } from '../foundation/call.ts'
import { StorePath } from '../nix/store-path.ts'
import type { LocalPathInfoStore } from '../pathinfo/path-info-store.ts'
import type { PathUses } from './path-uses.ts'
import type { Pins } from './pins.ts'
import type { HeldPath } from './retention-order.ts'

/** How many paths' uses are looked up at once. */
const BATCH_PATHS = 1024

/** A path that is held, with what retention needs of it. */
export interface SurveyedPath extends HeldPath {
  readonly hash: Uint8Array
  readonly storePath: string
  readonly node: Node
  readonly narSize: number
  readonly narSha256: Uint8Array
}

/**
 * All paths that are held. One whose use nobody knows counts as used now: the use is what a crash
 * may lose.
 */
export async function surveyPaths(
  components: {
    readonly pathInfos: Pick<LocalPathInfoStore, 'list'>
    readonly uses: Pick<PathUses, 'lastUses' | 'used'>
    readonly pins: Pick<Pins, 'list'>
  },
  nowMs: number,
  call: Call,
): Promise<SurveyedPath[]> {
  const { pathInfos, uses, pins } = components
  const pinned = new Set<string>()
  for await (const { storePath } of pins.list(call)) pinned.add(keyOf(StorePath.parse(storePath)))
  const paths: SurveyedPath[] = []
  for await (const pathInfo of pathInfos.list(call)) {
    const { storePath, node, references, narSize, narSha256 } = pathInfo
    const key = keyOf(storePath)
    paths.push({
      key,
      hash: storePath.hash,
      storePath: storePath.toString(),
      node,
      narSize,
      narSha256,
      references: references.map(keyOf),
      usedMs: nowMs,
      isPinned: pinned.has(key),
    })
  }
  for (let i = 0; i < paths.length; i += BATCH_PATHS) {
    const batch = paths.slice(i, i + BATCH_PATHS)
    const lastMs = await uses.lastUses(
      batch.map(({ hash }) => hash),
      call,
    )
    for (const [at, path] of batch.entries()) {
      if (lastMs[at] === 0) uses.used(path.hash)
      else paths[i + at] = { ...path, usedMs: lastMs[at]! }
    }
  }
  return paths
}

function keyOf(path: StorePath): string {
  return path.hashText
}
