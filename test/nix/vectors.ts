import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const FILE = fileURLToPath(
  new URL('../../../shared/vectors/cache-nixos-org-narinfos.txt', import.meta.url),
)

/** Why the real narinfos can not be tested with, or undefined where they are there. */
export const vectorsMissing = existsSync(FILE) ? undefined : `${FILE} is not there`

/** Narinfos of cache.nixos.org, all of them signed by {@link CACHE_KEY}. */
export function realNarInfos(): string[] {
  const texts = readFileSync(FILE, 'utf8').split('\n\n')
  return texts.map((it) => `${it.trimEnd()}\n`).filter((it) => it !== '\n')
}

/** The key of cache.nixos.org. */
export const CACHE_KEY = 'cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY='
