import { readFile } from 'node:fs/promises'
import type { ReadableCastore } from '../castore/castore.ts'
import type { Clock } from '../foundation/clock.ts'
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

  async open(url: string): Promise<OpenPushTarget> {
    const parsed = upstreamSchema.safeParse(url)
    if (!parsed.success) {
      throw rpcError('bad-request', `--to ${parsed.error.issues[0]!.message}`)
    }
    const same = this.#upstreams.find((it) => it.url.name === parsed.data.url.name)
    return await this.#openConfigured({ ...same, ...parsed.data, token_file: same?.token_file })
  }

  async #openConfigured({ url, token_file }: UpstreamConfig): Promise<OpenPushTarget> {
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
      case 'cache':
        throw new Error('no caches yet')
    }
  }
}

async function tokenOf(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((cause) => {
    throw rpcError('bad-request', `the token in ${path} can not be read: ${cause.message}`, cause)
  })
  return text.trim()
}
