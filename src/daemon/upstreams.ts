import type { Clock } from '../foundation/clock.ts'
import type { Service } from '../foundation/service.ts'
import { RemoteChannel } from '../rpc/remote/remote-channel.ts'
import { RemotePathSource } from '../rpc/remote/remote-path-source.ts'
import type { PathSource } from '../substitution/path-source.ts'
import type { UpstreamConfig } from './upstream-config.ts'

/** When a gRPC store is asked that nobody gave a priority: a little before ordinary caches. */
export const STORE_PRIORITY = 30

/** A source, and what ends it. */
export interface OpenUpstream extends Service {
  readonly source: PathSource
}

/** Opens an upstream; nothing is asked of it yet. */
export function openUpstream(components: { clock: Clock }, config: UpstreamConfig): OpenUpstream {
  const { url, priority } = config
  switch (url.kind) {
    case 'store': {
      const { address, isSecure, name } = url
      const answering = config.timeout === undefined ? {} : { answerMs: config.timeout }
      const channel = new RemoteChannel(components, { address, isSecure, ...answering })
      const source = new RemotePathSource(
        { channel },
        { name, priority: priority ?? STORE_PRIORITY },
      )
      return opened(source, async () => channel[Symbol.dispose]())
    }
    case 'cache':
      throw new Error('no caches yet')
  }
}

function opened(source: PathSource, stop: () => Promise<void>): OpenUpstream {
  return { name: source.name, source, start: async () => undefined, stop }
}
