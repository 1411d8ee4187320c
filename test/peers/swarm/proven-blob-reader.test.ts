import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { blobBytes } from '../../../src/castore/blob-store.ts'
import { CastoreError } from '../../../src/castore/castore-error.ts'
import { TreeShape } from '../../../src/castore/verified/tree-shape.ts'
import { Digest } from '../../../src/foundation/digest.ts'
import { silentLog } from '../../../src/foundation/log.ts'
import { systemClock } from '../../../src/foundation/system-clock.ts'
import { systemRandom } from '../../../src/foundation/system-random.ts'
import { HolderSet } from '../../../src/peers/swarm/holder-set.ts'
import { openProven } from '../../../src/peers/swarm/proven-blob-reader.ts'
import * as bad from '../../fixtures/bad-peers.ts'
import { allBytes, call, noise } from '../../fixtures/content.ts'
import { connected, type PeerNode, peerNode, takeIn } from '../../fixtures/peer-node.ts'
import { file, inPieces, narOf } from '../../nar/trees.ts'

// Its first two chunks are not the longest possible, so that they may be said to be longer.
const CONTENT = noise(5_000_000, 'large')
const BLOB = { digest: Digest.ofContent(CONTENT), size: CONTENT.length }

async function holding(content = CONTENT, misbehaviour?: () => bad.Misbehaviour) {
  const node = await peerNode()
  await takeIn(node, 'blob', inPieces(narOf(file(content)), [1_000_000]))
  if (misbehaviour !== undefined) bad.misbehave(node, misbehaviour)
  return node
}

/** A node that is connected with `peers` and knows so far that `known` may have the blob. */
async function askerOf(peers: readonly PeerNode[], known = peers) {
  const node = await peerNode({ bootstrap: peers, stallMs: 1000 })
  await Promise.all(peers.map((peer) => connected(peer, node)))
  const { castore, client, ledger } = node
  const ports = { clock: systemClock, random: systemRandom, log: silentLog }
  const holders = new HolderSet(known.map(({ host }) => host.id))
  const open = (blob: { digest: Digest; size?: number }) =>
    openProven(blob, holders, { castore, client, ledger, ...ports }, call)
  return { node, open, holders, [Symbol.asyncDispose]: () => node[Symbol.asyncDispose]() }
}

test('any range of a blob that is not here is read, and only its chunks are fetched', async () => {
  await using holder = await holding()
  await using asker = await askerOf([holder])
  const reader = await asker.open(BLOB)
  const stored = () => asker.node.records.totals('chunk')
  expect(stored().records).toBe(0)
  const middle = await allBytes(reader!.read(2_500_000, call, 100))
  expect(middle.equals(CONTENT.subarray(2_500_000, 2_500_100))).toBe(true)
  expect(stored().records).toBeLessThanOrEqual(2)
  const anyRange = [fc.nat(CONTENT.length + 20_000), fc.nat(CONTENT.length)] as const
  await fc.assert(
    fc.asyncProperty(...anyRange, async (offset, length) => {
      const read = await allBytes(reader!.read(offset, call, length))
      return read.equals(CONTENT.subarray(offset, offset + length))
    }),
    { numRuns: 60 },
  )
})

test('what has been read from end to end is held from then on, with its outboard', async () => {
  await using holder = await holding()
  await using asker = await askerOf([holder])
  const { blobs } = asker.node.castore
  const reader = await asker.open(BLOB)
  await allBytes(reader!.read(1, call))
  expect(await blobs.open(BLOB.digest, call)).toBeUndefined()
  expect((await allBytes(reader!.read(0, call))).equals(CONTENT)).toBe(true)
  const held = await blobs.open(BLOB.digest, call)
  expect((await allBytes(held!.read(0, call))).equals(CONTENT)).toBe(true)
  ;(await blobs.outboard(BLOB.digest, call))!.verify()
})

test('that it can not be kept does not concern who has read it', async () => {
  await using holder = await holding()
  await using asker = await askerOf([holder])
  asker.node.castore.blobs.assemble = async () => {
    throw new CastoreError({ code: 'incomplete', digest: 'x' }, 'a chunk was cleaned up meanwhile')
  }
  const reader = await asker.open(BLOB)
  expect((await allBytes(reader!.read(0, call))).equals(CONTENT)).toBe(true)
})

test.each([0, 1, 16_384, 16_385, 131_073, 1_000_000])(
  'the length of a blob of %i bytes is proven where it is not known',
  async (size) => {
    const content = noise(size, 'of unknown length')
    await using holder = await holding(content)
    await using asker = await askerOf([holder])
    const reader = await asker.open({ digest: Digest.ofContent(content) })
    expect(reader!.size).toBe(size)
    expect((await allBytes(reader!.read(0, call))).equals(content)).toBe(true)
  },
)

test('those who read the same at once have each chunk fetched once', async () => {
  await using holder = await holding()
  await using asker = await askerOf([holder])
  const reader = await asker.open(BLOB)
  const offsets = [0, 1000, 200_000, 700_000, 0]
  const read = async (offset: number): Promise<boolean> => {
    const bytes = await allBytes(reader!.read(offset, call, 2_000_000))
    return bytes.equals(CONTENT.subarray(offset, offset + 2_000_000))
  }
  expect(await Promise.all(offsets.map(read))).toEqual(offsets.map(() => true))
  expect(holder.server.bytesServed).toBe(asker.node.records.totals('chunk').bytes)
})

test('one who leaves while others wait for what it fetches does not leave them without', async () => {
  await using holder = await holding()
  await using asker = await askerOf([holder])
  const reader = await asker.open(BLOB)
  const abort = new AbortController()
  const left = allBytes(reader!.read(0, { signal: abort.signal }, 900_000))
  const stays = allBytes(reader!.read(0, call, 900_000))
  abort.abort(new Error('left'))
  await expect(left).rejects.toThrow('left')
  expect((await stays).equals(CONTENT.subarray(0, 900_000))).toBe(true)
})

test('a blob that nobody has is absent', async () => {
  await using holder = await holding()
  await using asker = await askerOf([holder])
  expect(await asker.open({ digest: Digest.of(noise(32)) })).toBeUndefined()
})

test('who knows of no outboards opens nothing, and that is no offence', async () => {
  await using holder = await holding(CONTENT, bad.leavesOutOutboards)
  await using asker = await askerOf([holder])
  expect(await asker.open(BLOB)).toBeUndefined()
  expect(asker.node.ledger.standing(holder.host.id)).toBe('welcome')
})

const LIES = [
  { how: 'turns chunk lists round', make: bad.turnsLayouts, is: 'banned' },
  { how: 'resizes chunks', make: bad.resizesChunks, is: 'banned' },
  { how: 'halves chunk lists', make: bad.halvesLayouts, is: 'banned' },
  { how: 'lengthens blobs', make: bad.lengthensBlobs, is: 'banned' },
  { how: 'forges outboards', make: bad.forgesOutboards, is: 'banned' },
  { how: 'cuts outboards', make: bad.cutsOutboards, is: 'banned' },
  { how: 'flips a byte in chunks', make: bad.flipsBytes, is: 'banned' },
  { how: 'repeats itself', make: bad.repeatsItself, is: 'banned' },
  { how: 'invents chunks', make: bad.inventsChunks, is: 'welcome' },
  { how: 'goes silent', make: bad.goesSilent, is: 'idle' },
] as const

describe.each(LIES)('a peer that $how', ({ make, is }) => {
  let honest: PeerNode
  beforeAll(async () => {
    honest = await holding()
    return async () => await honest[Symbol.asyncDispose]()
  })

  test.each(['known', 'unknown'])('alone gives nothing wrong (length %s)', async (length) => {
    await using liar = await holding(CONTENT, make)
    await using asker = await askerOf([liar])
    const got: Uint8Array[] = []
    const reading = async (): Promise<string> => {
      const reader = await asker.open(length === 'known' ? BLOB : { digest: BLOB.digest })
      if (reader === undefined) return 'nothing'
      for await (const bytes of reader.read(0, call)) got.push(bytes)
      return 'all'
    }
    expect(await reading().catch(() => 'nothing')).toBe('nothing')
    const read = Buffer.concat(got)
    expect(read.equals(CONTENT.subarray(0, read.length))).toBe(true)
    expect(asker.node.ledger.standing(liar.host.id)).toBe(is)
    expect(await asker.node.castore.blobs.open(BLOB.digest, call)).toBeUndefined()
  })

  test('beside an honest one does not keep the blob from being read', async () => {
    await using liar = await holding(CONTENT, make)
    await using asker = await askerOf([liar, honest])
    for (const [offset, length] of [
      [4_000_000, 20_000],
      [0, CONTENT.length],
    ] as const) {
      const reader = await asker.open({ digest: BLOB.digest })
      const read = await allBytes(reader!.read(offset, call, length))
      expect(read.equals(CONTENT.subarray(offset, offset + length))).toBe(true)
    }
    expect(asker.node.ledger.standing(honest.host.id)).toBe('welcome')
  })
})

test('a false chunk list is noticed within a group; what was done before it is kept', async () => {
  const swapsLate = (): bad.Misbehaviour => (answer) => {
    if (answer.type !== 'layout') return [answer]
    const { layout } = answer
    const last = layout.slice(-4)
    return [{ ...answer, layout: [...layout.slice(0, -4), ...last.toReversed()] }]
  }
  await using liar = await holding(CONTENT, swapsLate)
  await using honest = await holding()
  await using asker = await askerOf([liar, honest], [liar])
  const [layout] = await liar.castore.blobs.layouts([BLOB.digest], call)
  const before = blobBytes(layout!.slice(0, -4))
  const got: Uint8Array[] = []
  const readOn = async (offset: number): Promise<void> => {
    const reader = await asker.open(BLOB)
    for await (const bytes of reader!.read(offset, call)) got.push(bytes)
  }
  await expect(readOn(0)).rejects.toMatchObject({ fault: { code: 'no-holder' } })
  expect(asker.node.ledger.standing(liar.host.id)).toBe('banned')
  const { groupBytes } = new TreeShape(BLOB.size)
  expect(blobBytesOf(got)).toBe(before - (before % groupBytes))
  const fetched = asker.node.records.totals('chunk').bytes
  expect(fetched).toBeGreaterThanOrEqual(before)

  asker.holders.add(honest.host.id)
  await readOn(blobBytesOf(got))
  expect(Buffer.concat(got).equals(CONTENT)).toBe(true)
  expect(honest.server.bytesServed).toBeLessThanOrEqual(CONTENT.length - fetched)
})

test('where one is found out, reading goes on by what the next one says', async () => {
  const flipsLast = (): bad.Misbehaviour => (answer) => {
    if (answer.type !== 'layout' || answer.outboard === undefined) return [answer]
    const outboard = Uint8Array.from(answer.outboard)
    outboard[outboard.length - 1]! ^= 1
    return [{ ...answer, outboard }]
  }
  await using liar = await holding(CONTENT, flipsLast)
  await using honest = await holding()
  await using asker = await askerOf([liar, honest], [liar])
  const reader = await asker.open(BLOB)
  asker.holders.add(honest.host.id)
  expect((await allBytes(reader!.read(0, call))).equals(CONTENT)).toBe(true)
  expect(asker.node.ledger.standing(liar.host.id)).toBe('banned')
  expect(asker.node.ledger.standing(honest.host.id)).toBe('welcome')
  expect(await asker.node.castore.blobs.open(BLOB.digest, call)).toBeUndefined()
})

function blobBytesOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0)
}
