import type { Call } from '../foundation/call.ts'
import type { ClosureProgress } from '../substitution/closure-fetch.ts'

/** What a running node tells of itself. */
export interface NodeStatus {
  readonly version: string
  readonly peerId: string
  /** Multiaddresses that peers can dial. */
  readonly listening: readonly string[]
  readonly uptimeMs: number
  readonly stateDirectory: string
  /** URL of the gateway. */
  readonly gateway: string
  readonly peers: number
  readonly storePaths: number
  readonly chunks: number
  readonly directories: number
  /** Bytes of the NARs of all paths. */
  readonly logicalBytes: number
  /** Bytes of content in the store, each chunk counted once. */
  readonly uniqueBytes: number
  /** What that takes up in storage, in bytes. */
  readonly storedBytes: number
  readonly residentBytes: number
  /** Exchange bytes since the start. */
  readonly bytesServed: number
  readonly bytesFetched: number
  readonly trustedKeys: readonly string[]
  /** The public half of the node's own key, where it has one. */
  readonly signingKey: string | undefined
}

/** One of the node's limits. */
export interface NodeLimit {
  /** The part of the node that keeps to it. */
  readonly part: string
  /** Its name in the source; the unit stands at its end. */
  readonly name: string
  readonly value: number
  readonly what: string
}

/** A peer as the node sees it. */
export interface PeerStatus {
  readonly id: string
  /** Empty where it is not connected. */
  readonly address: string
  readonly isConnected: boolean
  readonly standing: string
  readonly bytesReceived: number
  readonly bytesSent: number
  /** Bytes a second, just now. */
  readonly receiveRate: number
  readonly sendRate: number
  readonly latencyMs: number | undefined
  /** Why it is not welcome, where it is not. */
  readonly reason: string | undefined
  /** Since when, in milliseconds since 1970. */
  readonly sinceMs: number | undefined
}

/** A source of paths as the node sees it. */
export interface SourceStatus {
  readonly name: string
  /** As Nix has it: a lower number is asked first. */
  readonly priority: number
  /** `ready`, `unproven` before it has answered, or `benched` after it failed. */
  readonly state: string
  /** How often it was asked for a path, had it, and failed. */
  readonly asked: number
  readonly hits: number
  readonly faults: number
  /** What it usually takes to answer, in ms; undefined before it ever has. */
  readonly latencyMs: number | undefined
  /** How it failed last, and when, in milliseconds since 1970. */
  readonly lastFault: { readonly what: string; readonly atMs: number } | undefined
}

/** Where the service learns about the node; the daemon, which knows all parts, implements it. */
export interface NodeView {
  status(call: Call): Promise<NodeStatus>
  /** Where paths come from, in the order that they are asked. */
  sources(): readonly SourceStatus[]
  /** Who is connected, and who is not welcome. */
  peers(): readonly PeerStatus[]
  /** Forgets what peers have done; says whose offences there were any of. */
  pardon(peers: readonly string[]): readonly string[]
}

/** How far a fetch has got, and, where one has just come to its end, what became of a path. */
export interface FetchReport extends ClosureProgress {
  readonly outcome?: {
    readonly storePath: string
    /** It was here before. */
    readonly held: boolean
    /** Why it is not here now; undefined where it is. */
    readonly error: string | undefined
  }
}
