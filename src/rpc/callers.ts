import type { AccessTokens } from '../foundation/access-token.ts'
import type { Connections } from './connections.ts'

/** What gRPC tells of who calls. */
export interface CallOrigin {
  getPeer(): string
  readonly metadata: { get(key: string): readonly (string | Buffer)[] }
}

/** Tells this machine's owner from everybody else. */
export class Callers {
  readonly #connections: Pick<Connections, 'of'>
  readonly #tokens: Pick<AccessTokens, 'holderOfHeader'>

  constructor(components: {
    connections: Pick<Connections, 'of'>
    tokens: Pick<AccessTokens, 'holderOfHeader'>
  }) {
    this.#connections = components.connections
    this.#tokens = components.tokens
  }

  /** Whether the caller is on this machine or has a token: the owner, whose word counts. */
  isOwner(origin: CallOrigin): boolean {
    if (this.#connections.of(origin.getPeer())?.isLocal === true) return true
    const [header] = origin.metadata.get('authorization')
    return this.#tokens.holderOfHeader(header?.toString()) !== undefined
  }
}
