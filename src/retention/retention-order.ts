/** A path that is held, as retention sees it; paths are named by any key that is theirs alone. */
export interface HeldPath {
  readonly key: string
  /** What it refers to; what is not held does not matter. */
  readonly references: readonly string[]
  /** When it was last asked for, in milliseconds since 1970. */
  readonly usedMs: number
  readonly isPinned: boolean
}

/** A path in its place. */
export interface RankedPath {
  readonly key: string
  /** Last use of it, or of something that needs it. */
  readonly usedMs: number
  /** Whether it is pinned, or something is that needs it. */
  readonly isPinned: boolean
}

/**
 * Orders paths by how much they are worth keeping: what is pinned first, then what was used last.
 * Using a path uses all that it refers to, and what it refers to comes before it: however much is
 * cut from the end of the order, no closure that is left lacks anything.
 */
export function retentionOrder(paths: readonly HeldPath[]): RankedPath[] {
  const byKey = new Map(paths.map((path) => [path.key, path]))
  const roots = [...paths].sort(
    (a, b) =>
      Number(b.isPinned) - Number(a.isPinned) || b.usedMs - a.usedMs || (a.key < b.key ? -1 : 1),
  )
  const order: RankedPath[] = []
  const seen = new Set<string>()
  for (const { key, usedMs, isPinned } of roots) {
    for (const needed of closureOf(key, byKey, seen)) order.push({ key: needed, usedMs, isPinned })
  }
  return order
}

/** What a path needs and has not been seen, references first; the path itself is last. */
function* closureOf(
  root: string,
  byKey: ReadonlyMap<string, HeldPath>,
  seen: Set<string>,
): Generator<string> {
  if (seen.has(root)) return
  seen.add(root)
  const stack = [{ key: root, next: 0 }]
  while (stack.length > 0) {
    const top = stack.at(-1)!
    const reference = byKey.get(top.key)!.references[top.next++]
    if (reference === undefined) {
      stack.pop()
      yield top.key
    } else if (byKey.has(reference) && !seen.has(reference)) {
      seen.add(reference)
      stack.push({ key: reference, next: 0 })
    }
  }
}
