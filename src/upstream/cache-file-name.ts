import { cacheError } from './cache-error.ts'

/** Length of the longest name of a cache's file, its query included, in characters. */
export const CACHE_FILE_NAME_LENGTH_MAX = 4_096

/**
 * Holds a name against what may be joined to a cache's root: names in segments, none of which
 * leads upwards. A narinfo's URL is such a name, chosen by whoever wrote the narinfo.
 * @throws CacheError 'bad-name'
 */
export function checkCacheFileName(name: string, cache: string): void {
  checkCacheFileNameLength(name, cache)
  const segments = name.split('/')
  const isPlain = segments.every((it) => it !== '' && it !== '.' && it !== '..')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: NUL ends names for the system
  if (isPlain && !/[\u0000\\]/.test(name)) return
  const right = 'a name below the root of the cache, without "." and ".."'
  throw cacheError('bad-name', cache, `has no file ${JSON.stringify(name)}: it is not ${right}`)
}

/** Holds a name against {@link CACHE_FILE_NAME_LENGTH_MAX}. @throws CacheError 'bad-name' */
export function checkCacheFileNameLength(name: string, cache: string): void {
  if (name.length <= CACHE_FILE_NAME_LENGTH_MAX) return
  const most = `at most ${CACHE_FILE_NAME_LENGTH_MAX} characters`
  throw cacheError('bad-name', cache, `has names of ${most}, not ${name.length}`)
}
