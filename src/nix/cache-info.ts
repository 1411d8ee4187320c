import { malformed, shown } from './nix-error.ts'
import { STORE_DIRECTORY } from './store-path.ts'

/** The name of the file at a cache's root that tells clients what it is. */
export const CACHE_INFO_NAME = 'nix-cache-info'

/** Characters of the longest `nix-cache-info` that is read. */
export const CACHE_INFO_LENGTH_MAX = 16 * 1024

/** What a binary cache says of itself. */
export interface CacheInfo {
  readonly storeDirectory: string
  /** Whether clients may ask for many paths at once, as `nix-env -qas` does. */
  readonly wantMassQuery: boolean
  /** Lower numbers are asked first; cache.nixos.org has 40. */
  readonly priority: number
}

/** The text of `nix-cache-info`, with its final newline. */
export function renderCacheInfo(info: CacheInfo): string {
  return [
    `StoreDir: ${info.storeDirectory}`,
    `WantMassQuery: ${info.wantMassQuery ? 1 : 0}`,
    `Priority: ${info.priority}`,
    '',
  ].join('\n')
}

/**
 * Reads a `nix-cache-info`. What is missing has Nix's defaults: the store directory is ours, no
 * mass queries, priority 0. Unknown fields are passed over. Whether the directory is the right one
 * is the caller's to judge.
 * @throws NixError 'bad-cache-info'
 */
export function parseCacheInfo(text: string): CacheInfo {
  if (text.length > CACHE_INFO_LENGTH_MAX) {
    const what = `a nix-cache-info has at most ${CACHE_INFO_LENGTH_MAX} characters`
    throw malformed('bad-cache-info', `${what}, not ${text.length}`)
  }
  const info = { storeDirectory: STORE_DIRECTORY, wantMassQuery: false, priority: 0 }
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':')
    if (colon < 0) {
      if (line.trim() === '') continue
      throw malformed('bad-cache-info', `a nix-cache-info has "Name: value" lines: ${shown(line)}`)
    }
    const value = line.slice(colon + 1).trim()
    const name = line.slice(0, colon)
    if (name === 'StoreDir') info.storeDirectory = value
    else if (name === 'WantMassQuery') info.wantMassQuery = value === '1'
    else if (name === 'Priority') info.priority = parsePriority(value)
  }
  return info
}

function parsePriority(value: string): number {
  if (!/^-?[0-9]{1,9}$/.test(value)) {
    throw malformed('bad-cache-info', `the Priority of a cache is a number: ${shown(value)}`)
  }
  return Number(value)
}
