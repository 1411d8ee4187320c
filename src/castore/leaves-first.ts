import type { Directory } from './model/directory.ts'

/** The same Directories, which begin with the root: every child before all that refer to it. */
export function leavesFirst(directories: readonly Directory[]): Directory[] {
  const byDigest = new Map(directories.map((directory) => [directory.digest.hex, directory]))
  const ordered: Directory[] = []
  // An explicit stack: a hostile tree may be deeper than the language's own.
  const stack = directories.length > 0 ? [{ directory: directories[0]!, next: 0 }] : []
  const met = new Set(stack.map(({ directory }) => directory.digest.hex))
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const entry = top.directory.entries[top.next++]
    if (entry === undefined) {
      ordered.push(top.directory)
      stack.pop()
      continue
    }
    if (entry.node.type !== 'directory' || met.has(entry.node.digest.hex)) continue
    met.add(entry.node.digest.hex)
    const child = byDigest.get(entry.node.digest.hex)
    if (child !== undefined) stack.push({ directory: child, next: 0 })
  }
  return ordered
}
