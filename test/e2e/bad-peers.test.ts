import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Node } from '../../src/castore/model/node.ts'
import { connectNode } from '../../src/daemon/client.ts'
import { PublicKey } from '../../src/nix/key.ts'
import { StorePath } from '../../src/nix/store-path.ts'
import { until } from '../fixtures/await-peers.ts'
import * as bad from '../fixtures/bad-peers.ts'
import { compareTrees } from '../fixtures/compare-trees.ts'
import { call } from '../fixtures/content.ts'
import { type DaemonProcess, startDaemon } from '../fixtures/daemon-process.ts'
import {
  buildNixClosure,
  type ClosureKey,
  type NixClosure,
  nix,
  nixMissing,
  verifyInStore,
} from '../fixtures/nix-closure.ts'
import { type PeerNode, peerNode, takeIn } from '../fixtures/peer-node.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { directory, file, inPieces, narOf } from '../nar/trees.ts'

const MIB = 1024 * 1024

const skipped = nixMissing()
const why = skipped === undefined ? '' : ` (${skipped})`

const stack = new AsyncDisposableStack()
let closure: NixClosure
let key: ClosureKey
let honest: DaemonProcess
let root: string

beforeAll(async () => {
  if (skipped !== undefined) return
  root = stack.use(await temporaryDirectory()).path
  const size = { paths: 16, bigFileBytes: 12 * MIB, smallFiles: 400 }
  closure = stack.use(await buildNixClosure(root, size))
  key = await closure.sign('builder-1')
  honest = stack.use(await startDaemon({ args: ['--no-mdns', '--trusted-key', key.publicKey] }))
  await nix('nix', ['copy', '--to', `${honest.gatewayUrl}?compression=none`, closure.top])
}, 120_000)
afterAll(() => stack.disposeAsync(), 60_000)

interface Case {
  readonly how: string
  readonly make: (node: PeerNode, otherRoot: Node) => bad.Misbehaviour
}

const CASES: readonly Case[] = [
  { how: 'flips one byte of chunks', make: bad.flipsBytes },
  { how: 'forges PathInfos', make: (_, otherRoot) => bad.forgesSignatures(otherRoot) },
  { how: 'puts true signatures on other content', make: (_, other) => bad.swapsRoots(other) },
  { how: 'stalls', make: bad.stopsMidway },
  { how: 'dies in the middle', make: bad.diesMidway },
]

describe.skipIf(skipped).each(CASES)(`beside a peer that $how${why}`, ({ make }) => {
  test('the whole closure comes, as it is', { timeout: 120_000 }, async () => {
    await using liar = await holderOfAll()
    const told = await turned(liar, make)
    await using node = await startDaemon({ args: flags(liar) })
    await connectedWith(node, 2)
    const store = join(root, `store-${node.pid}`)
    await pull(node, store)
    expect(told()).toBeGreaterThan(0)
    await verifyInStore(store, ...closure.paths)
    for (const path of closure.paths) expect(compareTrees(path, join(store, path))).toEqual([])
  })
})

/** A node that got the whole closure honestly. */
async function holderOfAll(): Promise<PeerNode> {
  const trustedKeys = [PublicKey.parse(key.publicKey)]
  const node = await peerNode({ trustedKeys, secretKey: undefined })
  using client = connectNode(honest.rpc)
  const { peerId } = await client.status(call)
  await node.host.connect({ id: peerId, addresses: [honest.listen] }, call)
  await until(() => node.host.connected().length === 1)
  for (const path of closure.paths) await node.substituter.obtain(StorePath.parse(path).hash, call)
  return node
}

/** Makes a node behave badly from now on; says how many of its answers it has tampered with. */
async function turned(liar: PeerNode, make: Case['make']): Promise<() => number> {
  const nar = narOf(directory({ trojan: file('horse') }))
  const other = await takeIn(liar, 'trojan', inPieces(nar, [MIB]))
  let tampered = 0
  bad.misbehave(liar, () => {
    const misbehaviour = make(liar, other.node)
    return (answer) => {
      const said = misbehaviour(answer)
      if (!Array.isArray(said) || said[0] !== answer) tampered++
      return said
    }
  })
  return () => tampered
}

function flags(liar: PeerNode): string[] {
  const bootstrap = ['--bootstrap', honest.listen, ...liar.host.addresses]
  return ['--no-mdns', '--trusted-key', key.publicKey, ...bootstrap]
}

async function connectedWith(node: DaemonProcess, peers: number): Promise<void> {
  using client = connectNode(node.rpc)
  await until(async () => (await client.peers(call)).length === peers)
}

async function pull(node: DaemonProcess, store: string): Promise<void> {
  const trust = ['--option', 'trusted-public-keys', key.publicKey]
  await nix('nix', ['copy', ...trust, '--from', node.gatewayUrl, '--to', store, closure.top])
}
