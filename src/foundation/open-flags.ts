import { constants } from 'node:fs'

/**
 * Opens a file to read it, and nothing else: whoever exchanges it for a symlink or a pipe under our
 * hands must not lead us astray.
 */
export const OPEN_IN_PLACE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
