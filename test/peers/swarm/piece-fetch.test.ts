import { expect, test } from 'vitest'
import { BitSet } from '../../../src/foundation/bit-set.ts'
import { type Call, unhurriedCall } from '../../../src/foundation/call.ts'
import { seededRandom } from '../../../src/foundation/random.ts'
import { peerError } from '../../../src/peers/peer-error.ts'
import { PeerLedger } from '../../../src/peers/standing/peer-ledger.ts'
import {
  PATIENCE_MS,
  type PieceEvents,
  PieceFetch,
  SPARE_MS,
} from '../../../src/peers/swarm/piece-fetch.ts'
import { SwarmView } from '../../../src/peers/swarm/swarm-view.ts'
import { manualClock, outcomeOf } from '../../foundation/manual-clock.ts'

const BYTES = 256 * 1024
const call = unhurriedCall()

/** A peer that gives each piece after so many milliseconds, one after the other. */
interface Server {
  readonly pieceMs: number
  readonly has?: readonly number[]
  /** It breaks off after so many pieces. */
  readonly failsAfter?: number
}

function world(pieces: number, servers: Record<string, Server>) {
  const clock = manualClock()
  const view = new SwarmView({ self: 'self', sizes: Array.from({ length: pieces }, () => BYTES) })
  const given: Record<string, number[]> = {}
  const takenBack: string[] = []
  const queues = new Map<string, Promise<void>>()
  const serve = async (peer: string, piece: number, events: PieceEvents, its: Call) => {
    const { pieceMs, failsAfter = Infinity, has } = servers[peer]!
    if (has !== undefined && !has.includes(piece)) return events.onLacking(piece)
    await clock.sleep(pieceMs, its)
    const done = (given[peer] ??= [])
    if (done.length >= failsAfter) throw peerError({ code: 'unreachable', peer })
    done.push(piece)
    events.onHere(piece)
  }
  const ask = async (
    peer: string,
    asked: readonly number[],
    events: PieceEvents,
    its: Call,
  ): Promise<void> => {
    its.signal.addEventListener('abort', () => void takenBack.push(peer))
    const before = queues.get(peer) ?? Promise.resolve()
    const mine = before
      .catch(() => undefined)
      .then(async () => {
        for (const piece of asked) await serve(peer, piece, events, its)
      })
    queues.set(peer, mine)
    await mine
  }
  const ledger = new PeerLedger({ clock })
  const random = seededRandom(1)
  const fetch = new PieceFetch({ view, transport: { ask }, ledger, clock, random })
  const pass = async (ms: number): Promise<void> => {
    for (let i = 0; i < ms; i += 10) await clock.pass(10)
  }
  return { clock, view, given, takenBack, fetch, pass }
}

test('work is shared by pace: who is slow holds little of it', async () => {
  const { fetch, given, pass, view } = world(100, { fast: { pieceMs: 10 }, slow: { pieceMs: 100 } })
  fetch.meetComplete('fast')
  fetch.meetComplete('slow')
  const running = fetch.run(call)
  await pass(1_500)
  expect(view.left).toBe(0)
  await running
  expect(given.fast!.length).toBeGreaterThan(80)
  expect(given.slow!.length).toBeGreaterThan(5)
})

test('what is late is asked of another, and the loser is told that it is not needed', async () => {
  const { fetch, given, takenBack, pass } = world(4, {
    good: { pieceMs: 20 },
    hole: { pieceMs: 1e9 },
  })
  fetch.meetComplete('hole')
  fetch.meetComplete('good')
  const running = fetch.run(call)
  await pass(3_000)
  expect(await outcomeOf(running)).toBe('kept')
  expect(given.good!.sort()).toEqual([0, 1, 2, 3])
  expect(takenBack).toContain('hole')
})

test('what a peer that broke off had not given comes from another', async () => {
  const { fetch, given, pass } = world(10, {
    dying: { pieceMs: 10, failsAfter: 2 },
    other: { pieceMs: 10 },
  })
  fetch.meetComplete('dying')
  fetch.meetComplete('other')
  const running = fetch.run(call)
  await pass(2_000)
  expect(await outcomeOf(running)).toBe('kept')
  expect(new Set([...given.dying!, ...given.other!]).size).toBe(10)
})

test('where nobody has the rest, the fetch ends without it', async () => {
  const { fetch, view, pass } = world(4, { some: { pieceMs: 10, has: [0, 1] } })
  fetch.meetComplete('some')
  const running = fetch.run(call)
  await pass(1_000)
  expect(await outcomeOf(running)).toBe('kept')
  expect(view.left).toBe(2)
})

test('members that have nothing new are waited for, but not for ever', async () => {
  const { fetch, pass } = world(4, { member: { pieceMs: 10 } })
  fetch.meetPartial('member', new BitSet(4))
  const running = fetch.run(call)
  await pass(PATIENCE_MS / 2)
  expect(await outcomeOf(running)).toBe('pending')
  fetch.gained('member', [0, 1])
  await pass(PATIENCE_MS / 2 + 1_000)
  expect(await outcomeOf(running)).toBe('pending')
  await pass(PATIENCE_MS)
  expect(await outcomeOf(running)).toBe('kept')
})

test('an origin is spared while members give, and not any more when they fall silent', async () => {
  const { fetch, given, pass, view } = world(40, {
    origin: { pieceMs: 10 },
    member: { pieceMs: 1e9 },
  })
  const all = new BitSet(40)
  for (let i = 0; i < 40; i++) all.add(i)
  fetch.meetComplete('origin')
  fetch.meetPartial('member', all)
  const running = fetch.run(call)
  await pass(SPARE_MS / 2)
  expect(given.origin ?? []).toEqual([]) // the member has all of it, too
  await pass(2 * SPARE_MS)
  expect(view.left).toBe(0)
  await running
})

test('what a reader waits for comes next', async () => {
  const { fetch, given, pass } = world(200, { seed: { pieceMs: 50 } })
  fetch.meetComplete('seed')
  const over = new AbortController()
  const running = fetch.run(over)
  await pass(500)
  fetch.hurry([150])
  await pass(1_500)
  expect(given.seed!).toContain(150)
  expect(given.seed!.length).toBeLessThan(100)
  const ended = expect(running).rejects.toThrow('enough')
  over.abort(new Error('enough'))
  await pass(100)
  await ended
})
