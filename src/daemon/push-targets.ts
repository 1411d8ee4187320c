import { mkdir, readFile } from 'node:fs/promises'
import type { ReadableCastore } from '../castore/castore.ts'
import type { Clock } from '../foundation/clock.ts'
import type { SpoolStore } from '../foundation/spool.ts'
import type { Encoding } from '../nar/compressed.ts'
import { ENCODINGS } from '../nar/compression.ts'
import type { TrustPolicy } from '../pathinfo/trust-policy.ts'
import type { OpenPushTarget, PushTargets } from '../rpc/push-calls.ts'
import { RemoteChannel } from '../rpc/remote/remote-channel.ts'
import { RemotePushTarget } from '../rpc/remote/remote-push-target.ts'
import { rpcError } from '../rpc/rpc-error.ts'
import { type UpstreamConfig, upstreamSchema } from './upstream-config.ts'

/** What targets work with. */
export interface PushTargetComponents {
  readonly castore: ReadableCastore
  readonly trust: TrustPolicy
  readonly spools: SpoolStore
  readonly clock: Clock
}

/** Opens caches and stores to push to. What the configuration says of one counts here, too. */
export class ConfiguredPushTargets implements PushTargets {
  readonly #components: PushTargetComponents
  readonly #upstreams: readonly UpstreamConfig[]

  constructor(
    components: PushTargetComponents,
    init: { readonly upstream: readonly UpstreamConfig[] },
  ) {
    this.#components = components
    this.#upstreams = init.upstream
  }

  async open(url: string, { compression }: { compression: string }): Promise<OpenPushTarget> {
    const encoding = encodingOf(compression)
    const parsed = upstreamSchema.safeParse(url)
    if (!parsed.success) {
      throw rpcError('bad-request', `--to ${parsed.error.issues[0]!.message}`)
    }
    const same = this.#upstreams.find((it) => it.url.name === parsed.data.url.name)
    const { url: place } = parsed.data
    return await this.#open({ ...parsed.data, ...same, url: place }, encoding)
  }

  async #open(config: UpstreamConfig, encoding: Encoding): Promise<OpenPushTarget> {
    const { url, token_file } = config
    switch (url.kind) {
      case 'store': {
        const { address, isSecure, name } = url
        const { clock } = this.#components
        const token = token_file === undefined ? {} : { token: await tokenOf(token_file) }
        const channel = new RemoteChannel({ clock }, { address, isSecure, ...token })
        const target = new RemotePushTarget({ ...this.#components, channel }, { name })
        return Object.assign(target, {
          [Symbol.asyncDispose]: async () => channel[Symbol.dispose](),
        })
      }
      case 'cache': {
        // What a cache needs is loaded where there is one: a node without starts sooner.
        const { openFiles } = await import('./upstreams.ts')
        const { CachePushTarget } = await import('../upstream/cache-push-target.ts')
        const { location } = url
        // A new cache is made where none is, as Nix does it.
        if (location.kind === 'file') await mkdir(location.directory, { recursive: true })
        const files = await openFiles(this.#components, url, config)
        const components = { ...this.#components, files, contents: this.#components.castore }
        return Object.assign(new CachePushTarget(components, { encoding }), {
          [Symbol.asyncDispose]: () => files.close(),
        })
      }
    }
  }
}

function encodingOf(name: string): Encoding {
  const found = ENCODINGS.find((it) => it === (name || 'zstd'))
  if (found !== undefined) return found
  const right = ENCODINGS.join(', ')
  throw rpcError('bad-request', `--compression is one of ${right}, not ${JSON.stringify(name)}`)
}

async function tokenOf(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((cause) => {
    throw rpcError('bad-request', `the token in ${path} can not be read: ${cause.message}`, cause)
  })
  return text.trim()
}
