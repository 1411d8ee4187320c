import type { Call } from '../foundation/call.ts'
import type { FrameChannel } from './exchange/frame-channel.ts'

/** A peer as routing names it: its id, and where it may be reached. */
export interface Peer {
  readonly id: string
  readonly addresses: readonly string[]
}

/** A peer that is connected. */
export interface ConnectedPeer {
  readonly id: string
  readonly address: string
  /** Round trip in milliseconds, where it has been measured. */
  readonly latencyMs: number | undefined
}

/** The port to the network of peers. */
export interface PeerNetwork {
  /** Who is connected just now. */
  connected(): readonly ConnectedPeer[]
  /** Makes sure that a peer is connected. @throws PeerError 'unreachable' */
  connect(peer: Peer, call: Call): Promise<void>
  /** Opens a channel of the exchange protocol to a connected peer. @throws PeerError */
  openChannel(peer: string, call: Call): Promise<FrameChannel>
  /** Hands over every channel that a peer opens to this node. */
  onChannel(handler: (peer: string, channel: FrameChannel) => void): void
  /** Tells of every peer that gets connected. */
  onConnect(handler: (peer: string) => void): void
  /** Ends all connections with a peer. */
  disconnect(peer: string): Promise<void>
}
