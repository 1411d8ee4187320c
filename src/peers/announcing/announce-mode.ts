/**
 * What a node tells the network that it has: the names of shared paths and their root Directories,
 * these and all that they reach, or nothing.
 */
export type AnnounceMode = 'all' | 'roots' | 'none'

/** All modes, the default first. */
export const ANNOUNCE_MODES = ['all', 'roots', 'none'] as const satisfies readonly AnnounceMode[]
