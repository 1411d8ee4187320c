import type { Call } from '../foundation/call.ts'
import type { Digest } from '../foundation/digest.ts'
import { CastoreError, invalid } from './castore-error.ts'
import { DigestSet } from './digest-set.ts'
import type { DirectorySource } from './directory-store.ts'
import type { Directory } from './model/directory.ts'
import type { FileNode, Node } from './model/node.ts'

/** How many Directories of one path are copied. */
export const COPIED_DIRECTORIES_MAX = 1_000_000

/** All that is below a root. */
export interface ContentBelow {
  /** The root first, a child only after something that refers to it. */
  readonly directories: readonly Directory[]
  /** Each content once. */
  readonly files: readonly FileNode[]
}

/**
 * Lists what is below a root. @throws CastoreError where a Directory is missing, or there are too
 * many
 */
export async function contentBelow(
  root: Node,
  from: { readonly directories: Pick<DirectorySource, 'closure'> },
  call: Call,
): Promise<ContentBelow> {
  const directories: Directory[] = []
  if (root.type === 'directory') {
    for await (const directory of from.directories.closure(root.digest, call)) {
      if (directories.length >= COPIED_DIRECTORIES_MAX) {
        const what = `there are more than ${COPIED_DIRECTORIES_MAX} Directories`
        throw invalid(`${what} below ${root.digest}`)
      }
      directories.push(directory)
    }
    if (directories.length === 0) throw missingContent(root.digest, 'directory')
  }
  const seen = new DigestSet()
  const nodes = root.type === 'file' ? [root] : filesIn(directories)
  return { directories, files: [...nodes].filter(({ digest }) => seen.add(digest.bytes)) }
}

function* filesIn(directories: readonly Directory[]): Generator<FileNode> {
  for (const { entries } of directories) {
    for (const { node } of entries) if (node.type === 'file') yield node
  }
}

/** The error for content that is not where it should be. */
export function missingContent(digest: Digest, what: string): CastoreError {
  return new CastoreError(
    { code: 'incomplete', digest: digest.hex },
    `${what} ${digest} is missing`,
  )
}
