import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Digest } from '../../../src/foundation/digest.ts'
import { seededRandom } from '../../../src/foundation/random.ts'
import {
  ChunkQueue,
  SECOND_ASK_MS,
  type WantedChunk,
} from '../../../src/peers/swarm/chunk-queue.ts'
import { noise } from '../../fixtures/content.ts'

const chunk = (i: number, size = 100): WantedChunk => ({ digest: Digest.of(noise(32, i)), size })
const chunks = Array.from({ length: 10 }, (_, i) => chunk(i))
const ALL = { bytesMax: Number.POSITIVE_INFINITY, chunksMax: 1000 }

function filled(): ChunkQueue {
  const queue = new ChunkQueue()
  for (const it of chunks) queue.add(it)
  return queue
}

test('chunks go out in order, as many as a portion holds, and at least one', () => {
  const queue = filled()
  expect(queue.take('a', { bytesMax: 350, chunksMax: 9 }, 0)).toEqual(chunks.slice(0, 3))
  expect(queue.take('b', { bytesMax: 1000, chunksMax: 2 }, 0)).toEqual(chunks.slice(3, 5))
  expect(queue.take('a', { bytesMax: 1, chunksMax: 9 }, 0)).toEqual(chunks.slice(5, 6))
  expect(queue.size).toBe(10)
})

test('what a peer does not bring goes to the front again', () => {
  const queue = filled()
  const taken = queue.take('a', { bytesMax: 300, chunksMax: 9 }, 0)
  queue.settle(taken[1]!.digest)
  queue.giveBack('a', taken)
  expect(queue.take('b', { bytesMax: 300, chunksMax: 9 }, 0)).toEqual([
    chunks[0],
    chunks[2],
    chunks[3],
  ])
})

test('a chunk settles once', () => {
  const queue = filled()
  queue.take('a', ALL, 0)
  expect(queue.isAsked(chunks[0]!.digest)).toBe(true)
  expect(queue.settle(chunks[0]!.digest)).toBe(true)
  expect(queue.settle(chunks[0]!.digest)).toBe(false)
  expect(queue.isAsked(chunks[0]!.digest)).toBe(false)
  expect(queue.size).toBe(9)
})

test('a peer is not asked again for what it lacks; others are', () => {
  const queue = filled()
  const [first] = queue.take('a', ALL, 0)
  queue.lacks('a', first!)
  expect(queue.take('a', ALL, 0)).toEqual([])
  expect(queue.take('b', ALL, 0)).toEqual([first])
})

test('a peer may serve as long as there is something that it does not lack', () => {
  const queue = new ChunkQueue()
  queue.add(chunk(1))
  expect(queue.mayServe('a')).toBe(true)
  const taken = queue.take('a', ALL, 0)
  expect(queue.mayServe('b')).toBe(true)
  queue.lacks('a', taken[0]!)
  expect([queue.mayServe('a'), queue.mayServe('b')]).toEqual([false, true])
})

test('when nothing else is left, a second peer is asked after a while, a third is not', () => {
  const queue = new ChunkQueue()
  queue.add(chunk(1))
  queue.take('a', ALL, 0)
  expect(queue.take('b', ALL, SECOND_ASK_MS - 1)).toEqual([])
  expect(queue.take('a', ALL, SECOND_ASK_MS)).toEqual([])
  expect(queue.take('b', ALL, SECOND_ASK_MS)).toEqual([chunk(1)])
  expect(queue.take('c', ALL, 10 * SECOND_ASK_MS)).toEqual([])
  queue.giveBack('a', [chunk(1)])
  expect(queue.isAsked(chunk(1).digest)).toBe(true)
  queue.giveBack('b', [chunk(1)])
  expect(queue.isAsked(chunk(1).digest)).toBe(false)
  expect(queue.left()).toEqual([chunk(1)])
})

test('whatever fails in whatever order: what somebody has comes, and nobody is asked twice for what it lacks', () => {
  const peers = ['a', 'b', 'c']
  const holdings = fc.array(fc.subarray(peers, { minLength: 1 }), { minLength: 1, maxLength: 60 })
  fc.assert(
    fc.property(holdings, fc.nat(), (holders, seed) => {
      const random = seededRandom(seed)
      const queue = new ChunkQueue()
      const wanted = holders.map((_, i) => chunk(i, 1 + random.integer(200)))
      for (const it of wanted) queue.add(it)
      const indexOf = new Map(wanted.map((it, i) => [it.digest.hex, i]))
      const told = new Set<string>()
      const open: { peer: string; taken: readonly WantedChunk[] }[] = []
      let nowMs = 0
      for (let step = 0; queue.size > 0; step++) {
        expect(step).toBeLessThan(10_000)
        nowMs += random.integer(SECOND_ASK_MS)
        const peer = peers[random.integer(peers.length)]!
        const taken = queue.take(peer, { bytesMax: 500, chunksMax: 1 + random.integer(8) }, nowMs)
        for (const it of taken) expect(told.has(`${peer} ${it.digest.hex}`)).toBe(false)
        if (taken.length > 0) open.push({ peer, taken })
        if (open.length === 0 || random.integer(2) === 0) continue
        const [answer] = open.splice(random.integer(open.length), 1)
        for (const it of answer!.taken) {
          const i = indexOf.get(it.digest.hex)!
          if (!holders[i]!.includes(answer!.peer)) {
            queue.lacks(answer!.peer, it)
            told.add(`${answer!.peer} ${it.digest.hex}`)
          } else if (random.integer(3) > 0) queue.settle(it.digest)
        }
        queue.giveBack(answer!.peer, answer!.taken)
      }
      expect(queue.left()).toEqual([])
    }),
    { numRuns: 300 },
  )
})
