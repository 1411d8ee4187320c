import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { renderNar } from '../../src/nar/render-nar.ts'
import { SubstitutionError } from '../../src/substitution/substitution-error.ts'
import { until } from '../fixtures/await-peers.ts'
import { misbehave } from '../fixtures/bad-peers.ts'
import {
  blackHole,
  casts,
  FLOODS,
  flood,
  ROLES,
  signsAsStranger,
  tellsOfAnotherPath,
} from '../fixtures/cast.ts'
import { allBytes, call, collect, noise } from '../fixtures/content.ts'
import { connected, type PeerNode, peerNode, storePath, takeIn } from '../fixtures/peer-node.ts'
import { directory, file, inPieces, narOf } from '../nar/trees.ts'

const MIB = 1024 * 1024

/** Longer than elsewhere: nine nodes share one process here, and the honest one must not seem to stall. */
const STALL_MS = 2_000
const nar = narOf(directory({ a: file(noise(9 * MIB, 'a')), b: file('b') }))
const trojan = narOf(directory({ trojan: file('horse') }))
const { hash } = storePath('wanted')

const stack = new AsyncDisposableStack()
let honest: PeerNode
beforeAll(async () => {
  honest = stack.use(await peerNode())
  await takeIn(honest, 'wanted', inPieces(nar, [MIB]))
})
afterAll(() => stack.disposeAsync())

async function holder(): Promise<PeerNode> {
  const node = await peerNode()
  await takeIn(node, 'wanted', inPieces(nar, [MIB]))
  return node
}

async function expectWhole(node: PeerNode): Promise<void> {
  const pathInfo = await node.substituter.obtain(hash, call)
  const rendered = await allBytes(renderNar(pathInfo!.node, node.castore, call))
  expect(rendered.equals(nar)).toBe(true)
}

test('all of the cast at once beside one honest peer: the path comes, as it is', async () => {
  await using cast = new AsyncDisposableStack()
  const actors: PeerNode[] = []
  for (const role of ROLES) {
    const node = cast.use(await holder())
    const other = await takeIn(node, 'trojan', inPieces(trojan, [MIB]))
    casts(node, role, other.node)
    actors.push(node)
  }
  await using asker = await peerNode({ bootstrap: [honest, ...actors], stallMs: STALL_MS })
  await Promise.all([honest, ...actors].map((node) => connected(node, asker)))
  const flooder = actors[ROLES.indexOf('flooder')]!
  const flooding = flood(flooder, asker.host.id, 'requests without end')
  await expectWhole(asker)
  await flooding
  expect(asker.ledger.standing(honest.host.id)).toBe('welcome')
})

describe.each(Object.keys(FLOODS))('a flooder that sends %s', (way) => {
  test('is cut off and banned, while the honest are served', async () => {
    await using target = await holder()
    await using flooder = await peerNode({ bootstrap: [target] })
    await using asker = await peerNode({ bootstrap: [target] })
    await Promise.all([connected(target, flooder), connected(target, asker)])
    const flooding = flood(flooder, target.host.id, way)
    await expectWhole(asker)
    expect(await flooding).toBe('cut off')
    await until(() => target.ledger.standing(flooder.host.id) === 'banned')
    expect(target.ledger.standing(asker.host.id)).toBe('welcome')
    await until(() => target.host.connected().every(({ id }) => id !== flooder.host.id))
  })
})

test('a path that only strangers have signed is as good as nothing, and is not fetched', async () => {
  await using stranger = await holder()
  misbehave(stranger, signsAsStranger)
  await using asker = await peerNode({ bootstrap: [stranger] })
  await connected(stranger, asker)
  expect(await asker.substituter.obtain(hash, call)).toBeUndefined()
  expect(stranger.server.bytesServed).toBe(0)
  expect(asker.ledger.standing(stranger.host.id)).toBe('welcome') // its paths are others' business
})

test('a true PathInfo in answer to a question for another path is a lie', async () => {
  await using liar = await holder()
  const other = await takeIn(liar, 'other', inPieces(trojan, [MIB]))
  misbehave(liar, () => tellsOfAnotherPath(other))
  await using asker = await peerNode({ bootstrap: [liar] })
  await connected(liar, asker)
  expect(await asker.substituter.obtain(hash, call)).toBeUndefined()
  expect(await collect(asker.pathInfos.list(call))).toEqual([])
  expect(asker.ledger.standing(liar.host.id)).toBe('banned')
})

test('one that was right at first is caught at its first wrong byte, and what was right is kept', async () => {
  await using shifter = await holder()
  casts(shifter, 'shape-shifter', { type: 'file' } as never)
  await using asker = await peerNode({ bootstrap: [shifter] })
  await connected(shifter, asker)
  await expect(asker.substituter.obtain(hash, call)).rejects.toThrow(SubstitutionError)
  expect(asker.ledger.standing(shifter.host.id)).toBe('banned')
  expect(asker.records.totals('chunk').records).toBeGreaterThan(0)
  await asker.host.connect({ id: honest.host.id, addresses: honest.host.addresses }, call)
  await connected(honest, asker)
  await expectWhole(asker)
})

test('black holes among the bootstrap peers keep nobody from the others', async () => {
  await using hole = await blackHole()
  await using asker = await peerNode({ bootstrap: [honest], holes: [hole.address] })
  await connected(honest, asker)
  await expectWhole(asker)
  await until(() => hole.swallowed > 0)
})
