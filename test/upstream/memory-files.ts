import type { CacheReader } from '../../src/upstream/cache-files.ts'

/** A cache whose files a test names; it notes what it was asked for. */
export interface MemoryFiles extends CacheReader {
  get: CacheReader['get']
  readonly files: Map<string, Uint8Array>
  readonly asked: string[]
}

/** An empty one. */
export function memoryFiles(): MemoryFiles {
  const files = new Map<string, Uint8Array>()
  const asked: string[] = []
  return {
    name: 'memory',
    files,
    asked,
    get: async (name) => {
      asked.push(name)
      const bytes = files.get(name)
      if (bytes === undefined) return undefined
      return { bytes: inPieces(bytes) }
    },
    has: async (name) => files.has(name),
  }
}

async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 10_007) yield bytes.subarray(at, at + 10_007)
}
