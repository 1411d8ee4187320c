/*
 * A bad peer in a process of its own. It gets a path honestly from the seed, says
 * `{"ready":ID}`, and from then on tells everybody that it has the path, and does what its kind
 * does; `{"harmed":ID}` for each peer that it did so to. Lives until it is killed.
 */
import { PublicKey } from '../../../src/nix/key.ts'
import { StorePath } from '../../../src/nix/store-path.ts'
import { until } from '../../fixtures/await-peers.ts'
import { flipsBytes, goesSilent, type Misbehaviour, misbehave } from '../../fixtures/bad-peers.ts'
import { call } from '../../fixtures/content.ts'
import { peerNode } from '../../fixtures/peer-node.ts'
import type { BadNodeInit, BadNodeKind } from './bad-guest.ts'

const KINDS: Readonly<Record<BadNodeKind, () => Misbehaviour>> = {
  liar: flipsBytes,
  'black hole': goesSilent,
}

const init: BadNodeInit = JSON.parse(process.argv[2]!)

function tell(words: object): void {
  process.stdout.write(`${JSON.stringify(words)}\n`)
}

const node = await peerNode({
  listen: init.listen,
  holes: init.bootstrap,
  mdns: init.mdns ?? true,
  trustedKeys: [PublicKey.parse(init.publicKey)],
  secretKey: undefined,
})
await until(() => node.host.connected().length > 0)
await node.substituter.obtain(StorePath.parse(init.storePath).hash, call)

const harmed = new Set<string>()
misbehave(node, (peer) => {
  const misbehaviour = KINDS[init.kind]()
  return (answer) => {
    const said = misbehaviour(answer)
    const isHonest = Array.isArray(said) && said[0] === answer
    if (!isHonest && !harmed.has(peer)) {
      harmed.add(peer)
      tell({ harmed: peer })
    }
    return said
  }
})
tell({ ready: node.host.id })
