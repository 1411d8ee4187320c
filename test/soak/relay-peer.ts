import type { Node } from '../../src/castore/model/node.ts'
import { concatBytes } from '../../src/foundation/bytes.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { decodeRequest, encodeResponse } from '../../src/peers/exchange/exchange-codec.ts'
import type { FrameChannel } from '../../src/peers/exchange/frame-channel.ts'
import type { Answer, Want } from '../../src/peers/exchange/want.ts'
import type { Misbehaviour, RawFrame } from '../fixtures/bad-peers.ts'
import { misbehaviourOf, type Role } from '../fixtures/cast.ts'
import { call, noise } from '../fixtures/content.ts'
import { type PeerNode, peerNode } from '../fixtures/peer-node.ts'

/** Where honest answers come from, and whom the relay is known to. */
export interface RelayInit {
  readonly role: Role
  /** Id of the honest node that it asks. */
  readonly honest: string
  /** Addresses of nodes to be connected with. */
  readonly addresses: readonly string[]
  readonly otherRoot: Node
}

/**
 * A bad peer that seems to have whatever the honest node has: it passes questions on, and tampers
 * with the answers. Chunks it makes up, but for the first few of a shape-shifter.
 */
export async function relayPeer(init: RelayInit): Promise<PeerNode> {
  const node = await peerNode({ holes: init.addresses, log: silentLog })
  const make = misbehaviourOf(init.role, init.otherRoot)
  node.host.onChannel((_, channel) => {
    serve(node, init, channel, make()).catch((error) => channel.abort(error))
  })
  return node
}

async function serve(
  node: PeerNode,
  init: RelayInit,
  channel: FrameChannel,
  misbehaviour: Misbehaviour,
): Promise<void> {
  await channel.receive((frame) => {
    const { id, want } = decodeRequest(frame)
    if (want === 'cancel' || want === 'unknown') return
    const send = async (answer: Answer): Promise<void> => {
      for (const said of await misbehaviour(answer)) await channel.send(framesOf(id, said))
    }
    answer(node, init, want, send).catch((error) => channel.abort(error))
  })
}

function framesOf(id: number, said: Answer | RawFrame): readonly Uint8Array[] {
  return said.type === 'raw' ? [concatBytes(said.pieces)] : encodeResponse(id, said)
}

async function answer(
  node: PeerNode,
  init: RelayInit,
  want: Want,
  send: (answer: Answer) => Promise<void>,
): Promise<void> {
  const isMadeUp = want.type === 'chunks' && init.role !== 'shape-shifter'
  if (isMadeUp) {
    const chunks = want.digests.map((_, index) => ({ index, data: noise(1000, index) }))
    await send({ type: 'chunks', chunks })
  } else {
    const bytes = want.type === 'chunks' ? 1024 * 1024 : 64 * 1024
    await node.client.ask(init.honest, { want, bytes, onAnswer: send }, call)
  }
  await send({ type: 'done' })
}
