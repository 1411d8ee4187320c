import { join } from 'node:path'
import type { Clock } from '../foundation/clock.ts'
import type { CacheFiles } from './cache-files.ts'
import { FileCacheFiles } from './file-cache-files.ts'
import { HttpCacheFiles, type UpstreamLimits } from './http-cache-files.ts'
import type { Netrc } from './netrc.ts'
import { S3CacheFiles } from './s3-cache-files.ts'
import { SftpCacheFiles } from './sftp-cache-files.ts'
import type { UpstreamUrl } from './upstream-url.ts'

/** Where the keys of hosts are that every user of the machine knows. */
const SYSTEM_KNOWN_HOSTS = '/etc/ssh/ssh_known_hosts'

/** Private keys that OpenSSH tries by itself, in its order. */
const KEY_FILES = ['id_rsa', 'id_ecdsa', 'id_ed25519']

/** What the surroundings say: proxies, the agent of SSH, and where the user's keys are. */
export interface CacheSurroundings extends UpstreamLimits {
  readonly env: Readonly<Record<string, string | undefined>>
}

/** The files of the cache at a URL; nothing is reached before it is needed. */
export function openCacheFiles(
  components: { readonly clock: Clock; readonly netrc: Netrc },
  url: UpstreamUrl,
  surroundings: CacheSurroundings,
): CacheFiles {
  const { location, name } = url
  const { env, ...limits } = surroundings
  switch (location.kind) {
    case 'file':
      return new FileCacheFiles({}, location)
    case 'http':
      return new HttpCacheFiles(components, { ...limits, ...location, name, env })
    case 's3':
      return new S3CacheFiles(components, { ...limits, location, name })
    case 'sftp': {
      const home = env.HOME === undefined ? undefined : join(env.HOME, '.ssh')
      const own = (names: readonly string[]): string[] =>
        home === undefined ? [] : names.map((it) => join(home, it))
      return new SftpCacheFiles(components, {
        ...limits,
        location,
        name,
        knownHostsFiles: [...own(['known_hosts']), SYSTEM_KNOWN_HOSTS],
        keyFiles: own(KEY_FILES),
        agent: env.SSH_AUTH_SOCK,
      })
    }
  }
}
