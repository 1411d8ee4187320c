import { beforeAll, describe, expect, test } from 'vitest'
import { Digest } from '../../src/foundation/digest.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { systemClock } from '../../src/foundation/system-clock.ts'
import { systemRandom } from '../../src/foundation/system-random.ts'
import { PeerContentSource } from '../../src/peers/peer-content-source.ts'
import { SubstitutingCastore } from '../../src/substitution/substituting-castore.ts'
import { SubstitutionError } from '../../src/substitution/substitution-error.ts'
import { until } from '../fixtures/await-peers.ts'
import * as bad from '../fixtures/bad-peers.ts'
import { shiftsShape } from '../fixtures/cast.ts'
import { allBytes, call, noise } from '../fixtures/content.ts'
import {
  connected,
  type PeerNode,
  type PeerNodeInit,
  peerNode,
  storePath,
  takeIn,
} from '../fixtures/peer-node.ts'
import { file, inPieces, narOf } from '../nar/trees.ts'

const MIB = 1024 * 1024
const CONTENT = noise(24 * MIB, 'large')
const DIGEST = Digest.ofContent(CONTENT)
const STALL_MS = 1000

async function holding(
  misbehaviour?: (node: PeerNode) => bad.Misbehaviour,
  init: PeerNodeInit = {},
): Promise<PeerNode> {
  const node = await peerNode(init)
  await takeIn(node, 'blob', inPieces(narOf(file(CONTENT)), [MIB]))
  if (misbehaviour !== undefined) bad.misbehave(node, () => misbehaviour(node))
  return node
}

/** A node that holds nothing, and reads through a castore that asks its neighbours. */
async function reading(...peers: PeerNode[]) {
  const node = await peerNode({ bootstrap: peers, stallMs: STALL_MS })
  await Promise.all(peers.map((peer) => connected(peer, node)))
  const { castore: near, client, ledger, host: network } = node
  const ports = { clock: systemClock, random: systemRandom, log: silentLog }
  const asking = { castore: near, client, ledger, network, underWay: node.swarms }
  const far = new PeerContentSource({ ...asking, ...ports })
  const castore = new SubstitutingCastore({ near, far, clock: systemClock })
  const read = async (offset: number, length: number, size?: number): Promise<Buffer> => {
    const reader = await castore.blobs.open(DIGEST, call, size)
    return await allBytes(reader!.read(offset, call, length))
  }
  return { node, castore, read, [Symbol.asyncDispose]: () => node[Symbol.asyncDispose]() }
}

/** The bytes of the chunks that have any of these 4 KiB. */
async function chunkBytes(holder: PeerNode, offsets: readonly number[]): Promise<number> {
  const [layout] = await holder.castore.blobs.layouts([DIGEST], call)
  const asked = new Set<number>()
  let at = 0
  for (const [i, { size }] of layout!.entries()) {
    if (offsets.some((offset) => offset < at + size && offset + 4096 > at)) asked.add(i)
    at += size
  }
  return [...asked].reduce((sum, i) => sum + layout![i]!.size, 0)
}

test.each(['known', 'unknown'])(
  'random reads cost little more than the chunks that they fall into (length %s)',
  async (length) => {
    await using holder = await holding()
    await using asker = await reading(holder)
    const offsets = Array.from({ length: 12 }, (_, i) => noise(4, i).readUInt32LE() % (23 * MIB))
    for (const offset of offsets) {
      const read = await asker.read(offset, 4096, length === 'known' ? CONTENT.length : undefined)
      expect(read.equals(CONTENT.subarray(offset, offset + 4096))).toBe(true)
    }
    const asked = await chunkBytes(holder, offsets)
    const { received } = asker.node.host.traffic.of(holder.host.id)
    expect(received).toBeLessThan(1.5 * asked)
    expect(await asker.node.castore.blobs.open(DIGEST, call)).toBeUndefined()
  },
)

test('a blob that was read from end to end is held, and has crossed once', async () => {
  await using holder = await holding()
  await using asker = await reading(holder)
  expect((await asker.read(0, CONTENT.length)).equals(CONTENT)).toBe(true)
  expect(await asker.node.castore.blobs.open(DIGEST, call)).toBeDefined()
  expect(holder.server.bytesServed).toBeLessThanOrEqual(CONTENT.length)
})

test('what a reader waits for comes before the rest of a fetch, and crosses once', async () => {
  await using holder = await holding(undefined, { uploadRate: 4 * MIB })
  await using asker = await reading(holder)
  const { received } = asker.node.host.traffic.of(holder.host.id)
  const fetched = (): number => asker.node.host.traffic.of(holder.host.id).received - received
  const obtaining = asker.node.substituter.obtain(storePath('blob').hash, call)
  await until(() => fetched() > MIB)
  const read = await asker.read(CONTENT.length - 4096, 4096, CONTENT.length)
  expect(read.equals(CONTENT.subarray(-4096))).toBe(true)
  expect(fetched()).toBeLessThan(0.7 * CONTENT.length)
  await obtaining
  expect(holder.server.bytesServed).toBeLessThanOrEqual(1.05 * CONTENT.length)
})

const LIARS = [
  { how: 'flips a byte in chunks', make: bad.flipsBytes, is: 'banned' },
  { how: 'turns chunk lists round', make: bad.turnsLayouts, is: 'banned' },
  { how: 'forges outboards', make: bad.forgesOutboards, is: 'banned' },
  { how: 'shifts its shape', make: shiftsShape, is: 'banned' },
] as const

describe.each(LIARS)('a neighbour that $how', ({ make, is }) => {
  let honest: PeerNode
  beforeAll(async () => {
    honest = await holding()
    return async () => await honest[Symbol.asyncDispose]()
  })

  test('is found out and dropped, and reading goes on', async () => {
    await using liar = await holding(make)
    await using asker = await reading(liar, honest)
    const standing = () => asker.node.ledger.standing(liar.host.id)
    for (let i = 0; i < 60 && standing() !== is; i++) {
      const offset = (noise(4, i).readUInt32LE() % (20 * MIB)) + 1
      const read = await asker.read(offset, 700_000)
      expect(read.equals(CONTENT.subarray(offset, offset + 700_000))).toBe(true)
      // Whoever is not asked by chance the first time is, once what is said is asked for anew.
      asker.castore.forgetMisses()
    }
    expect((await asker.read(0, CONTENT.length)).equals(CONTENT)).toBe(true)
    expect(asker.node.ledger.standing(honest.host.id)).toBe('welcome')
  })
})

test('where the only holder dies midway, the reader is told so', async () => {
  await using holder = await holding(bad.diesMidway)
  await using asker = await reading(holder)
  const reader = await asker.castore.blobs.open(DIGEST, call, CONTENT.length)
  const got: Uint8Array[] = []
  const whole = async (): Promise<void> => {
    for await (const bytes of reader!.read(0, call)) got.push(bytes)
  }
  const error = await whole().catch((thrown) => thrown)
  expect(error).toBeInstanceOf(SubstitutionError)
  expect(error.fault.code).toBe('content-missing')
  const read = Buffer.concat(got)
  expect(read.length).toBeLessThan(CONTENT.length)
  expect(read.equals(CONTENT.subarray(0, read.length))).toBe(true)
})

test('where one of two holders dies midway, reading goes on from the other', async () => {
  await using mortal = await holding(bad.diesMidway)
  await using other = await holding()
  await using asker = await reading(mortal, other)
  expect((await asker.read(0, CONTENT.length)).equals(CONTENT)).toBe(true)
})

test('a holder that comes later is asked, too', async () => {
  await using first = await holding(bad.diesMidway)
  await using later = await holding()
  await using asker = await reading(first)
  const reader = await asker.castore.blobs.open(DIGEST, call, CONTENT.length)
  await allBytes(reader!.read(0, call, 1000))
  await later.host.connect({ id: asker.node.host.id, addresses: asker.node.host.addresses }, call)
  await connected(later, asker.node)
  const read = await allBytes(reader!.read(0, call))
  expect(read.equals(CONTENT)).toBe(true)
})

test('where neighbours know of no outboards, the whole is fetched', async () => {
  await using holder = await holding(bad.leavesOutOutboards)
  await using asker = await reading(holder)
  const read = await asker.read(10 * MIB, 1000)
  expect(read.equals(CONTENT.subarray(10 * MIB, 10 * MIB + 1000))).toBe(true)
  expect(await asker.node.castore.blobs.open(DIGEST, call)).toBeDefined()
  expect(asker.node.ledger.standing(holder.host.id)).toBe('welcome')
})
