import type { RecordStore } from '../castore/record-store.ts'
import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Gateway } from '../gateway/gateway.ts'
import type { PublicKey } from '../nix/key.ts'
import type { Signer } from '../pathinfo/signer.ts'
import type { Host } from '../peers/host.ts'
import type { PeerLedger } from '../peers/standing/peer-ledger.ts'
import type { NodeStatus, NodeView, PeerStatus } from '../rpc/node-view.ts'
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
    const traffic = host.totalTraffic()
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

  peers(): readonly PeerStatus[] {
    const { host, ledger } = this.#components
    return host.connected().map(({ id, address, latencyMs }) => {
      const { received, sent } = host.traffic(id)
      const traffic = { bytesReceived: received, bytesSent: sent, latencyMs }
      return { id, address, standing: ledger.standing(id), ...traffic, reason: ledger.reason(id) }
    })
  }
}
