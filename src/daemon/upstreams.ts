import { readFile } from 'node:fs/promises'
import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import { RateLimit } from '../foundation/rate-limit.ts'
import type { Service } from '../foundation/service.ts'
import { RemoteChannel } from '../rpc/remote/remote-channel.ts'
import { RemotePathSource } from '../rpc/remote/remote-path-source.ts'
import type { PathSource } from '../substitution/path-source.ts'
import { BinaryCache } from '../upstream/binary-cache.ts'
import type { CacheFiles } from '../upstream/cache-files.ts'
import { Netrc, NetrcError } from '../upstream/netrc.ts'
import { openCacheFiles } from '../upstream/open-cache-files.ts'
import { UpstreamSource } from '../upstream/upstream-source.ts'
import type { UpstreamUrl } from '../upstream/upstream-url.ts'
import { ConfigError } from './config-error.ts'
import type { UpstreamConfig } from './upstream-config.ts'

/** When a gRPC store is asked that nobody gave a priority: a little before ordinary caches. */
export const STORE_PRIORITY = 30

/** A source, and what ends it. */
export interface OpenUpstream extends Service {
  readonly source: PathSource
}

/** Opens an upstream; nothing is asked of it yet. @throws ConfigError */
export async function openUpstream(
  components: { readonly clock: Clock; readonly log: Log },
  config: UpstreamConfig,
): Promise<OpenUpstream> {
  const { url, priority } = config
  switch (url.kind) {
    case 'store': {
      const { address, isSecure, name } = url
      const answering = config.timeout === undefined ? {} : { answerMs: config.timeout }
      const channel = new RemoteChannel(components, { address, isSecure, ...answering })
      const init = { name, priority: priority ?? STORE_PRIORITY }
      const source = new RemotePathSource({ channel }, init)
      return opened(source, async () => channel[Symbol.dispose]())
    }
    case 'cache': {
      const files = await openFiles(components, url, config)
      const { download_rate: bytesPerSecond, store_dir: storeDirectory } = config
      const rate =
        bytesPerSecond === undefined ? undefined : new RateLimit(components, { bytesPerSecond })
      const cache = new BinaryCache({ files, rate }, { storeDirectory })
      const source = new UpstreamSource(
        { ...components, cache },
        {
          priority: priority ?? url.priority,
          keys: config.trusted_keys,
          connectionsMax: config.connections,
          // What lies on this machine's own disks nobody else needs to read for it.
          isShared: config.share_pulls && url.location.kind !== 'file',
        },
      )
      for (const note of url.notes) components.log.warn(note, { upstream: url.name })
      return {
        ...opened(source, () => files.close()),
        // Before any source is timed: it would keep this process busy meanwhile.
        start: async () => await files.prepare?.(),
      }
    }
  }
}

/** The files of a cache, with what the configuration says of it. @throws ConfigError */
export async function openFiles(
  { clock }: { readonly clock: Clock },
  url: UpstreamUrl,
  config: Pick<UpstreamConfig, 'netrc' | 'connections' | 'timeout'>,
): Promise<CacheFiles> {
  const { timeout } = config
  const waits = timeout === undefined ? {} : { connectMs: timeout, answerMs: timeout }
  const surroundings = { env: process.env, connectionsMax: config.connections, ...waits }
  return openCacheFiles({ clock, netrc: await netrcOf(config.netrc) }, url, surroundings)
}

async function netrcOf(path: string | undefined): Promise<Netrc> {
  if (path === undefined) return Netrc.none()
  try {
    return Netrc.parse(await readFile(path, 'utf8'))
  } catch (cause) {
    const why = cause instanceof NetrcError ? cause.message : 'it can not be read'
    throw new ConfigError([`the netrc file ${path}: ${why}`], { cause })
  }
}

function opened(source: PathSource, stop: () => Promise<void>): OpenUpstream {
  return { name: source.name, source, start: async () => undefined, stop }
}
