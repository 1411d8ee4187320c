import type { RecordStore } from '../castore/record-store.ts'
import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Gateway } from '../gateway/gateway.ts'
import type { PublicKey } from '../nix/key.ts'
import type { Signer } from '../pathinfo/signer.ts'
import type { Host } from '../peers/host.ts'
import type { PeerLedger } from '../peers/standing/peer-ledger.ts'
import type { NodeStatus, NodeView, PeerStatus, SourceStatus } from '../rpc/node-view.ts'
import type { SourceWatch } from '../substitution/source-watch.ts'
import type { Config } from './config.ts'
import type { HeldSize } from './held-size.ts'
import { VERSION } from './version.ts'

/** What the view looks at. */
export interface DaemonViewComponents {
  readonly config: Config
  readonly clock: Clock
  readonly host: Host
  readonly ledger: PeerLedger
  readonly records: RecordStore
  readonly heldSize: HeldSize
  readonly gateway: Gateway
  readonly sources: readonly SourceWatch[]
  readonly trustedKeys: readonly PublicKey[]
  readonly signer: Signer | undefined
}

/** Tells how the node is doing, from its parts. */
export class DaemonView implements NodeView {
  readonly #components: DaemonViewComponents
  readonly #startedMs: number

  constructor(components: DaemonViewComponents) {
    this.#components = components
    this.#startedMs = components.clock.now()
  }

  async status(call: Call): Promise<NodeStatus> {
    const { config, clock, host, records, gateway, trustedKeys, signer } = this.#components
    const chunks = records.totals('chunk')
    const traffic = host.traffic.total()
    return {
      version: VERSION,
      peerId: host.id,
      listening: host.addresses,
      uptimeMs: clock.now() - this.#startedMs,
      stateDirectory: config.state,
      gateway: gateway.url,
      peers: host.connected().length,
      storePaths: records.totals('path-info').records,
      chunks: chunks.records,
      directories: records.totals('directory').records,
      logicalBytes: await this.#components.heldSize.bytes(call),
      uniqueBytes: chunks.bytes,
      storedBytes: chunks.storedBytes,
      residentBytes: process.memoryUsage.rss(),
      bytesServed: traffic.sent,
      bytesFetched: traffic.received,
      trustedKeys: trustedKeys.map((key) => key.toString()),
      signingKey: signer?.publicKey.toString(),
    }
  }

  sources(): readonly SourceStatus[] {
    const reports = this.#components.sources.map(({ report }) => report)
    return reports.toSorted((a, b) => a.priority - b.priority)
  }

  peers(): readonly PeerStatus[] {
    const { host, ledger } = this.#components
    const unwelcome = new Map(ledger.unwelcome().map((it) => [it.peer, it]))
    const view = (id: string): Omit<PeerStatus, 'address' | 'latencyMs' | 'isConnected'> => {
      const { received, sent, ...rates } = host.traffic.of(id)
      const { standing = 'welcome', reason, sinceMs } = unwelcome.get(id) ?? {}
      const traffic = { bytesReceived: received, bytesSent: sent, ...rates }
      return { id, standing, ...traffic, reason, sinceMs }
    }
    const connected = host.connected()
    for (const { id } of connected) unwelcome.delete(id)
    return [
      ...connected.map(({ id, ...rest }) => ({ ...view(id), ...rest, isConnected: true })),
      ...[...unwelcome].map(([id]) => {
        return { ...view(id), address: '', latencyMs: undefined, isConnected: false }
      }),
    ]
  }

  pardon(peers: readonly string[]): readonly string[] {
    return peers.filter((peer) => this.#components.ledger.pardon(peer))
  }
}
