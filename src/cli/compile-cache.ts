import { enableCompileCache } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * Keeps what Node makes of the sources from one run to the next: loading them takes 0.4 s instead
 * of 0.7. In a directory of the user's own, because whoever can write there decides what runs; not
 * in the one for temporary files, which is Node's default. Where it can not be written, nothing is
 * kept.
 */
export function keepCompiledCode(): void {
  const { CACHE_DIRECTORY, XDG_CACHE_HOME } = process.env
  const own = CACHE_DIRECTORY || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'cairn')
  enableCompileCache(join(own, 'code'))
}
