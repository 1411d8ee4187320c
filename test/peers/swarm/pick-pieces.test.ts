import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BitSet } from '../../../src/foundation/bit-set.ts'
import { seededRandom } from '../../../src/foundation/random.ts'
import {
  LAST_LATE_MS,
  LATE_MS_MIN,
  pickPieces,
  type Room,
} from '../../../src/peers/swarm/pick-pieces.ts'
import { CLAIM_MS, SwarmView } from '../../../src/peers/swarm/swarm-view.ts'

const random = seededRandom(1)
const PIECES = 40
const ROOM: Room = { bytesMax: 1, isSpared: false, mayStray: false, nowMs: 0 }

function viewOf(pieces = PIECES): SwarmView {
  return new SwarmView({ self: 'self', sizes: Array.from({ length: pieces }, () => 100) })
}

function bits(...numbers: number[]): BitSet {
  const set = new BitSet(PIECES)
  for (const number of numbers) set.add(number)
  return set
}

const pick = (view: SwarmView, peer: string, room: Partial<Room> = {}): number[] =>
  pickPieces(view, peer, { ...ROOM, ...room }, random)

const asking = (peer: string, askedMs = 0, expectedMs = 0) => ({ peer, askedMs, expectedMs })

test('alone with those who have everything, pieces are asked for in their order', () => {
  const view = viewOf()
  view.addComplete('seed')
  expect(pick(view, 'seed', { bytesMax: 350 })).toEqual([0, 1, 2])
  view.ask(0, asking('seed'))
  view.settle(1)
  expect(pick(view, 'seed', { bytesMax: 250 })).toEqual([2, 3])
  view.giveBack(0, 'seed')
  expect(pick(view, 'seed')).toEqual([0])
})

test('of what a member has, the rarest comes first', () => {
  const view = viewOf()
  view.addPartial('a', bits(1, 2, 3))
  view.addPartial('b', bits(1, 2))
  view.addPartial('c', bits(1))
  expect(pick(view, 'a')).toEqual([3])
  expect(pick(view, 'b')).toEqual([2])
  view.remove('b')
  view.addPartial('d', bits(3))
  expect(pick(view, 'a')).toEqual([2])
  expect(pick(view, 'nobody')).toEqual([])
})

test('ties are broken by chance, and the same chance breaks them alike', () => {
  const chosen = (seed: number): number[] => {
    const view = viewOf()
    view.addPartial('a', bits(...Array.from({ length: PIECES }, (_, i) => i)))
    return pickPieces(view, 'a', { ...ROOM, bytesMax: 1000 }, seededRandom(seed))
  }
  expect(chosen(1)).toEqual(chosen(1))
  expect(chosen(1)).not.toEqual(chosen(2))
})

test('what a reader waits for comes before anything else', () => {
  const view = viewOf()
  view.addPartial('a', bits(1, 2, 3))
  view.addPartial('b', bits(2, 30))
  view.urgent = [30, 2]
  expect(pick(view, 'a')).toEqual([2])
  expect(pick(view, 'b')).toEqual([30])
})

test('an origin that is spared is asked only for what no member has or claims', () => {
  const view = viewOf()
  view.addComplete('origin')
  view.addPartial('a', bits(...Array.from({ length: PIECES - 2 }, (_, i) => i)))
  const spared = { isSpared: true, mayStray: true, bytesMax: 10_000 }
  const left = [PIECES - 2, PIECES - 1]
  const own = left.filter((piece) => view.isOwn(piece, view.peer('origin')!))
  const first = pick(view, 'origin', spared)
  expect(left).toEqual(expect.arrayContaining(first))
  if (own.length > 0) expect(first.sort()).toEqual(own)
  view.claimed('a', left[0]!, true, 0)
  view.claimed('a', left[1]!, true, 0)
  expect(pick(view, 'origin', spared)).toEqual([])
  // Claims that nothing comes of do not count for ever.
  expect(pick(view, 'origin', { ...spared, nowMs: CLAIM_MS })).not.toEqual([])
  expect(pick(view, 'origin', { isSpared: false, bytesMax: 100_000 })).toHaveLength(PIECES)
})

test('of what only an origin has, that comes first which falls to this node', () => {
  const view = viewOf()
  view.addComplete('origin')
  view.addPartial('a', bits())
  const own = Array.from({ length: PIECES }, (_, i) => i).filter((piece) =>
    view.isOwn(piece, view.peer('origin')!),
  )
  expect(own.length).toBeGreaterThan(5)
  const picked = pick(view, 'origin', { isSpared: true, mayStray: true, bytesMax: 100_000 })
  expect(picked.sort((a, b) => a - b)).toEqual(own)
  for (const piece of own) view.settle(piece)
  expect(pick(view, 'origin', { isSpared: true, mayStray: false, bytesMax: 100_000 })).toEqual([])
  expect(pick(view, 'origin', { isSpared: true, mayStray: true, bytesMax: 100_000 })).toHaveLength(
    1,
  )
})

test('where the origin has divided the work, that counts', () => {
  const picked = [0, 1, 2].map((rank) => {
    const view = viewOf()
    view.addComplete('origin')
    view.addPartial('a', bits())
    view.divide('origin', { members: 3, rank })
    return pick(view, 'origin', { isSpared: true, mayStray: false, bytesMax: 100_000 })
  })
  for (const pieces of picked) expect(pieces.length).toBeGreaterThan(5)
  expect(picked.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: PIECES }, (_, i) => i))
})

test('members share out what only an origin has, each piece to one of them', () => {
  const members = ['a', 'b', 'c', 'd']
  const shares = members.map((self) => {
    const view = new SwarmView({ self, sizes: Array.from({ length: 4000 }, () => 1) })
    for (const id of members) if (id !== self) view.addPartial(id, new BitSet(4000))
    view.addComplete('origin')
    return Array.from({ length: 4000 }, (_, piece) => piece).filter((piece) =>
      view.isOwn(piece, view.peer('origin')!),
    )
  })
  expect(shares.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 4000 }, (_, i) => i))
  for (const share of shares) expect(share.length).toBeGreaterThan(700)
})

test('a member that has come by everything is asked before an origin', () => {
  const view = viewOf()
  view.addComplete('origin')
  view.addPartial('a', bits(1))
  view.addComplete('a')
  expect(view.peer('a')!.isOrigin).toBe(false)
  expect(view.peer('origin')!.isOrigin).toBe(true)
  expect(pick(view, 'origin', { isSpared: true, mayStray: true })).toEqual([])
  expect(pick(view, 'a')).toHaveLength(1)
})

test('what is late is asked of a second peer, not of a third, nor of the same', () => {
  const view = viewOf(1)
  for (const peer of ['a', 'b', 'c']) view.addComplete(peer)
  view.ask(0, asking('a', 0, 100))
  const late = 100 + LAST_LATE_MS
  expect(pick(view, 'b', { nowMs: late - 1 })).toEqual([])
  expect(pick(view, 'a', { nowMs: late })).toEqual([])
  expect(pick(view, 'b', { nowMs: late })).toEqual([0])
  view.ask(0, asking('b', late))
  expect(pick(view, 'c', { nowMs: 10 * late })).toEqual([])
  view.giveBack(0, 'a')
  expect(pick(view, 'c', { nowMs: 10 * late })).toEqual([0])
})

test('while there is other work, only what is far too late is asked for twice', () => {
  const view = viewOf(2)
  view.addComplete('a')
  const set = new BitSet(2)
  set.add(0)
  view.addPartial('b', set)
  view.ask(0, asking('a', 0, 100))
  expect(pick(view, 'b', { nowMs: LATE_MS_MIN - 1 })).toEqual([])
  expect(pick(view, 'b', { nowMs: LATE_MS_MIN })).toEqual([0])
})

test('what a peer turned out to lack is not asked of it again', () => {
  const view = viewOf()
  view.addPartial('a', bits(1, 2))
  view.ask(1, asking('a'))
  view.lacks('a', 1)
  view.giveBack(1, 'a')
  expect(pick(view, 'a', { bytesMax: 1000 })).toEqual([2])
})

test('whatever happens, only pieces are picked that the peer has and that are still to come', () => {
  const peer = fc.constantFrom('a', 'b', 'c')
  const piece = fc.nat(PIECES - 1)
  const act = fc.oneof(
    fc.record({ do: fc.constant('complete' as const), peer, piece }),
    fc.record({ do: fc.constant('partial' as const), peer, piece }),
    fc.record({ do: fc.constant('gained' as const), peer, piece }),
    fc.record({ do: fc.constant('remove' as const), peer, piece }),
    fc.record({ do: fc.constant('settle' as const), peer, piece }),
    fc.record({ do: fc.constant('giveBack' as const), peer, piece }),
    fc.record({ do: fc.constant('lacks' as const), peer, piece }),
    fc.record({ do: fc.constant('pick' as const), peer, piece }),
  )
  fc.assert(
    fc.property(fc.array(act, { maxLength: 200 }), fc.integer(), (acts, seed) => {
      const view = viewOf()
      const chance = seededRandom(seed)
      const settled = new Set<number>()
      for (const { do: what, peer: id, piece: it } of acts) {
        if (what === 'complete') view.addComplete(id)
        else if (what === 'partial') view.addPartial(id, bits(it))
        else if (what === 'gained') view.gained(id, it)
        else if (what === 'remove') view.remove(id)
        else if (what === 'giveBack') view.giveBack(it, id)
        else if (what === 'lacks') view.lacks(id, it)
        if (what === 'settle') {
          settled.add(it)
          view.settle(it)
        }
        if (what !== 'pick') continue
        const room = { bytesMax: 300, isSpared: seed % 2 === 0, mayStray: true, nowMs: 0 }
        const picked = pickPieces(view, id, room, chance)
        expect(new Set(picked).size).toBe(picked.length)
        for (const number of picked) {
          expect(view.has(view.peer(id)!, number)).toBe(true)
          expect(settled.has(number)).toBe(false)
          expect(view.isUnasked(number)).toBe(true)
          view.ask(number, asking(id, 0, 1e9))
        }
      }
      expect(view.left).toBe(PIECES - settled.size)
      const unasked = view.unasked.flat()
      expect(view.unaskedCount).toBe(unasked.length)
      expect([...view.unaskedInOrder()]).toEqual(unasked.sort((a, b) => a - b))
    }),
  )
})
