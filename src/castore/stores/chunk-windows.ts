import type { ChunkRef } from '../blob-store.ts'
import type { Span } from '../verified/tree-shape.ts'

/** The chunks of a blob that have bytes of a span, and where in the blob the first begins. */
export function chunksCovering(
  layout: readonly ChunkRef[],
  { from, to }: Span,
): { readonly chunks: readonly ChunkRef[]; readonly from: number } {
  let at = 0
  let first = 0
  while (first < layout.length && at + layout[first]!.size <= from) at += layout[first++]!.size
  let end = at
  let last = first
  while (last < layout.length && end < to && from < to) end += layout[last++]!.size
  return { chunks: layout.slice(first, last), from: at }
}

/** Groups chunks into windows of about so many bytes, and of one chunk at least. */
export function windowsOf(chunks: readonly ChunkRef[], bytesMax: number): ChunkRef[][] {
  const windows: ChunkRef[][] = []
  let bytes = 0
  for (const chunk of chunks) {
    const window = windows.at(-1)
    if (window === undefined || bytes + chunk.size > bytesMax) {
      windows.push([chunk])
      bytes = chunk.size
    } else {
      window.push(chunk)
      bytes += chunk.size
    }
  }
  return windows
}
