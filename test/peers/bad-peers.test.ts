import { beforeAll, describe, expect, test } from 'vitest'
import type { Node } from '../../src/castore/model/node.ts'
import { renderNar } from '../../src/nar/render-nar.ts'
import { SubstitutionError } from '../../src/substitution/substitution-error.ts'
import { until } from '../fixtures/await-peers.ts'
import * as bad from '../fixtures/bad-peers.ts'
import { allBytes, call, collect, noise } from '../fixtures/content.ts'
import { connected, type PeerNode, peerNode, storePath, takeIn } from '../fixtures/peer-node.ts'
import { directory, file, inPieces, narOf } from '../nar/trees.ts'

const MIB = 1024 * 1024
const STALL_MS = 1_200

/** No fetch may take longer than this, whoever takes part. */
const FETCH_MS_MAX = 8_000

const nar = narOf(
  directory({
    large: file(noise(14 * MIB, 'large')),
    'some-chunks': file(noise(2 * MIB, 'some chunks')),
    small: directory(
      Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`f${i}`, file(noise(500, i))])),
    ),
  }),
)
const otherNar = narOf(directory({ trojan: file('horse') }))
const { hash } = storePath('wanted')

interface Case {
  readonly how: string
  readonly make: (node: PeerNode, otherRoot: Node) => bad.Misbehaviour
  /** What becomes of a peer that is alone with it. */
  readonly alone: 'banned' | 'idle' | 'welcome'
  /** What asking it alone comes to: an error, or nothing where it offers nothing that counts. */
  readonly outcome?: 'nothing'
}

const CASES: readonly Case[] = [
  { how: 'flips a byte in chunks', make: bad.flipsBytes, alone: 'banned' },
  { how: 'cuts chunks short', make: bad.cutsShort, alone: 'banned' },
  { how: 'forges Directories', make: bad.forgesDirectories, alone: 'banned' },
  { how: 'adds Directories', make: bad.addsDirectories, alone: 'banned' },
  // Not banned: who passed the path on may have added a false signature to have it banned.
  { how: 'forges signatures', make: (_, root) => bad.forgesSignatures(root), alone: 'welcome' },
  { how: 'strips signatures', make: bad.stripsSignatures, alone: 'welcome', outcome: 'nothing' },
  { how: 'swaps roots', make: (_, root) => bad.swapsRoots(root), alone: 'banned' },
  { how: 'goes silent', make: bad.goesSilent, alone: 'idle' },
  { how: 'stops midway', make: bad.stopsMidway, alone: 'idle' },
  { how: 'dies midway', make: bad.diesMidway, alone: 'idle' },
  { how: 'sends garbage', make: bad.sendsGarbage, alone: 'banned' },
  { how: 'sends too much', make: bad.sendsTooMuch, alone: 'banned' },
  { how: 'answers what nobody asked', make: bad.answersUnasked, alone: 'banned' },
  { how: 'repeats itself', make: bad.repeatsItself, alone: 'banned' },
  { how: 'turns chunk lists round', make: bad.turnsLayouts, alone: 'banned' },
  { how: 'invents chunks', make: bad.inventsChunks, alone: 'welcome' },
  { how: 'resizes chunks', make: bad.resizesChunks, alone: 'banned' },
  { how: 'lacks everything', make: bad.lacksEverything, alone: 'welcome' },
  { how: 'ends early', make: bad.endsEarly, alone: 'welcome' },
  { how: 'refuses', make: bad.refuses, alone: 'idle' },
]

async function badPeer({ make }: Case): Promise<PeerNode> {
  const node = await peerNode()
  await takeIn(node, 'wanted', inPieces(nar, [MIB]))
  const other = await takeIn(node, 'other', inPieces(otherNar, [MIB]))
  misbehaving(node, make, other.node)
  return node
}

function misbehaving(node: PeerNode, make: Case['make'], otherRoot: Node): void {
  bad.misbehave(node, () => make(node, otherRoot))
}

async function nothingStored(node: PeerNode): Promise<void> {
  expect(await collect(node.pathInfos.list(call))).toEqual([])
}

describe.each(CASES)('a peer that $how', (it) => {
  let honest: PeerNode
  beforeAll(async () => {
    honest = await peerNode()
    await takeIn(honest, 'wanted', inPieces(nar, [MIB]))
    return async () => await honest[Symbol.asyncDispose]()
  })

  test('alone is of no use, and does no harm', async () => {
    await using liar = await badPeer(it)
    await using asker = await peerNode({ bootstrap: [liar], stallMs: STALL_MS })
    await connected(liar, asker)
    const begun = performance.now()
    const outcome = await asker.substituter.obtain(hash, call).catch((error) => error)
    if (it.outcome === 'nothing') expect(outcome).toBeUndefined()
    else expect(outcome).toBeInstanceOf(SubstitutionError)
    expect(performance.now() - begun).toBeLessThan(FETCH_MS_MAX)
    await nothingStored(asker)
    expect(asker.ledger.standing(liar.host.id)).toBe(it.alone)
    if (it.alone !== 'banned') return
    await until(() => asker.host.connected().length === 0)
    expect(await asker.substituter.obtain(hash, call)).toBeUndefined()
  })

  test('beside an honest one does not keep the path from coming', async () => {
    await using liar = await badPeer(it)
    await using asker = await peerNode({ bootstrap: [liar, honest], stallMs: STALL_MS })
    await Promise.all([connected(liar, asker), connected(honest, asker)])
    const begun = performance.now()
    const pathInfo = await asker.substituter.obtain(hash, call)
    expect(performance.now() - begun).toBeLessThan(FETCH_MS_MAX)
    const rendered = await allBytes(renderNar(pathInfo!.node, asker.castore, call))
    expect(rendered.equals(nar)).toBe(true)
    expect(asker.ledger.standing(honest.host.id)).toBe('welcome')
  })
})

test('who brings no content is still heard of what is new', async () => {
  await using stalling = await peerNode()
  await takeIn(stalling, 'wanted', inPieces(nar, [MIB]))
  bad.misbehave(stalling, bad.keepsChunks)
  await using asker = await peerNode({ bootstrap: [stalling], stallMs: 200 })
  await connected(stalling, asker)
  await until(() => asker.filters.has(stalling.host.id))
  const outcome = await asker.substituter.obtain(hash, call).catch((error) => error)
  expect(outcome).toBeInstanceOf(SubstitutionError)
  expect(asker.ledger.standing(stalling.host.id)).toBe('idle')
  expect(asker.filters.has(stalling.host.id)).toBe(true)
})

test('a peer that never says anything does not hold up what others say', async () => {
  await using silent = await peerNode()
  bad.misbehave(silent, bad.staysSilent)
  await using asker = await peerNode({ bootstrap: [silent], stallMs: STALL_MS })
  await connected(silent, asker)
  expect(await asker.substituter.obtain(hash, call)).toBeUndefined()
  await until(() => asker.ledger.standing(silent.host.id) === 'idle')
})
