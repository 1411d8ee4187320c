import type { Call } from '../foundation/call.ts'
import type { Digest } from '../foundation/digest.ts'
import type { Directory } from './model/directory.ts'

/** Where Directories can be read. */
export interface DirectorySource {
  /** The Directory of that digest, or undefined where it is not held. */
  get(digest: Digest, call: Call): Promise<Directory | undefined>

  /**
   * Every Directory below a root and the root itself: each once, a child only after something that
   * refers to it. Nothing at all where the root is not held.
   * @throws CastoreError where something below the root is missing
   */
  closure(root: Digest, call: Call): AsyncIterable<Directory>
}

/**
 * Where Directories are kept. What is put can be read at once; it survives a crash once `sync` of
 * its {@link Castore} has resolved.
 */
export interface DirectoryStore extends DirectorySource {
  /**
   * Takes in Directories, children before their parents.
   * @throws CastoreError where a child is not held, or its size is not what the parent says
   */
  put(directories: readonly Directory[], call: Call): Promise<void>
}
