import type {
  FetchEvent,
  Peer,
  Source,
  StatusResponse,
  VerifyEvent,
  PathOutcome as WireOutcome,
} from '../generated/cairn/node/v1/node.ts'
import type { ClosureProgress, PathOutcome } from '../substitution/closure-fetch.ts'
import type { FetchReport, NodeStatus, PeerStatus, SourceStatus } from './node-view.ts'
import type { VerifyPhase, VerifyReport } from './upkeep.ts'

/** The message of a node's status. */
export function toWireStatus(status: NodeStatus): StatusResponse {
  const { chunks, signingKey, listening, trustedKeys, ...same } = status
  return {
    ...same,
    listening: [...listening],
    trustedKeys: [...trustedKeys],
    blobsAndChunks: chunks,
    signingKey: signingKey ?? '',
  }
}

/** The status of a message. */
export function fromWireStatus(message: StatusResponse): NodeStatus {
  const { blobsAndChunks, signingKey, ...same } = message
  return { ...same, chunks: blobsAndChunks, signingKey: signingKey === '' ? undefined : signingKey }
}

/** The message of a peer. */
export function toWirePeer(peer: PeerStatus): Peer {
  const { id, isConnected, receiveRate, sendRate, latencyMs, reason, sinceMs, ...same } = peer
  return {
    ...same,
    peerId: id,
    connected: isConnected,
    receiveRate: Math.round(receiveRate),
    sendRate: Math.round(sendRate),
    latencyMs: Math.max(0, Math.round(latencyMs ?? 0)),
    reason: reason ?? '',
    sinceMs: sinceMs ?? 0,
  }
}

/** The peer of a message. */
export function fromWirePeer(message: Peer): PeerStatus {
  const { peerId, connected, latencyMs, reason, sinceMs, ...same } = message
  return {
    ...same,
    id: peerId,
    isConnected: connected,
    sinceMs: sinceMs === 0 ? undefined : sinceMs,
    latencyMs: latencyMs === 0 ? undefined : latencyMs,
    reason: reason === '' ? undefined : reason,
  }
}

/** The message of a source. */
export function toWireSource({ lastFault, ...same }: SourceStatus): Source {
  return { ...same, lastFault: lastFault?.what ?? '', lastFaultMs: lastFault?.atMs ?? 0 }
}

/** The source of a message. */
export function fromWireSource({ lastFault, lastFaultMs, ...same }: Source): SourceStatus {
  const fault = lastFault === '' ? undefined : { what: lastFault, atMs: lastFaultMs }
  return { ...same, latencyMs: same.latencyMs, lastFault: fault }
}

/** The message of how far a fetch has got, and of a path that came to its end. */
export function toWireEvent(progress: ClosureProgress, outcome?: PathOutcome): FetchEvent {
  return { ...progress, outcome: outcome && toWireOutcome(outcome) }
}

/** The message of what became of a path. */
export function toWireOutcome({ storePath, held, error }: PathOutcome): WireOutcome {
  const said = error === undefined ? '' : words(error)
  return { storePath: storePath.toString(), held, error: said }
}

/** The report of a message. */
export function fromWireEvent(message: FetchEvent): FetchReport {
  const { outcome, ...progress } = message
  return outcome === undefined ? progress : { ...progress, outcome: fromWireOutcome(outcome) }
}

/** What became of a path, of a message. */
export function fromWireOutcome({ error, ...same }: WireOutcome) {
  return { ...same, error: error === '' ? undefined : error }
}

/** How far a verification has got, of the message's fields. */
export function fromWireVerify({ fault, ...progress }: VerifyEvent): VerifyReport {
  const phase = progress.phase as VerifyPhase
  if (fault === undefined) return { ...progress, phase }
  const { what, mended } = fault
  return {
    ...progress,
    phase,
    fault: { phase: fault.phase as VerifyPhase, what, isMended: mended },
  }
}

/** An error in words, with what is behind it. */
function words(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}: ${words(error.cause)}`
}
