import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { PullPhase } from '../../../src/peers/pulls/pull-news.ts'
import {
  type PullScene,
  type Rival,
  TURN_MS,
  whoPulls,
  YIELD_BYTES_MAX,
} from '../../../src/peers/pulls/who-pulls.ts'

const SCENE: PullScene = {
  self: { id: 'self', weight: 50 },
  pulledBytes: undefined,
  following: undefined,
  rivals: [],
  isSettled: true,
  idleSinceMs: 1_000,
  nowMs: 1_000,
}

function rival(weight: number, phase: PullPhase = 'waiting', isSpent = false): Rival {
  return { id: `peer-${weight}`, weight, phase, isSpent, toldBytes: 0 }
}

const move = (scene: Partial<PullScene>) => whoPulls({ ...SCENE, ...scene })

describe('where nobody pulls', () => {
  test('who is alone pulls at once', () => {
    expect(move({})).toEqual({ do: 'pull' })
  })

  test('nobody pulls before all have had the time to say that they do', () => {
    expect(move({ isSettled: false })).toEqual({ do: 'wait' })
  })

  test('the first in the order pulls, and each other waits for those before it', () => {
    expect(move({ rivals: [rival(40), rival(10)] })).toEqual({ do: 'pull' })
    const rivals = [rival(60), rival(70), rival(10)]
    expect(move({ rivals })).toEqual({ do: 'wait', ms: 2 * TURN_MS })
    expect(move({ rivals, nowMs: 1_000 + TURN_MS })).toEqual({ do: 'wait', ms: TURN_MS })
    expect(move({ rivals, nowMs: 1_000 + 2 * TURN_MS })).toEqual({ do: 'pull' })
  })

  test('who is spent is not waited for', () => {
    expect(move({ rivals: [rival(60, 'waiting', true)] })).toEqual({ do: 'pull' })
    expect(move({ rivals: [rival(60, 'pulling', true)] })).toEqual({ do: 'pull' })
    expect(move({ rivals: [rival(60, 'complete', true)] })).toEqual({ do: 'pull' })
  })
})

describe('where somebody pulls', () => {
  test('who pulls is followed, whatever the order, and at once', () => {
    const rivals = [rival(10, 'pulling'), rival(60)]
    expect(move({ rivals, isSettled: false })).toEqual({ do: 'follow', peer: 'peer-10' })
  })

  test('of several the first is followed, but nobody changes without need', () => {
    const rivals = [rival(10, 'pulling'), rival(60, 'pulling')]
    expect(move({ rivals })).toEqual({ do: 'follow', peer: 'peer-60' })
    expect(move({ rivals, following: 'peer-10' })).toEqual({ do: 'follow', peer: 'peer-10' })
    const dead = [rival(10), rival(60, 'pulling')]
    expect(move({ rivals: dead, following: 'peer-10' })).toEqual({ do: 'follow', peer: 'peer-60' })
  })

  test('who has it whole is followed before who pulls', () => {
    const rivals = [rival(60, 'pulling'), rival(10, 'complete')]
    expect(move({ rivals, following: 'peer-60' })).toEqual({ do: 'follow', peer: 'peer-10' })
  })

  test('of two that pull the one with less weight yields, unless it has come far', () => {
    const rivals = [rival(60, 'pulling')]
    expect(move({ rivals, pulledBytes: 1 })).toEqual({ do: 'yield', peer: 'peer-60' })
    const far = YIELD_BYTES_MAX + 1
    expect(move({ rivals, pulledBytes: far })).toEqual({ do: 'pull' })
    expect(move({ rivals: [rival(40, 'pulling')], pulledBytes: 1 })).toEqual({ do: 'pull' })
    expect(move({ rivals: [rival(60, 'pulling', true)], pulledBytes: 1 })).toEqual({ do: 'pull' })
  })
})

describe('where two pull, and one has come far', () => {
  const far = { ...rival(40, 'pulling'), toldBytes: YIELD_BYTES_MAX + 1 }

  test('the other one yields, whatever its weight', () => {
    expect(move({ rivals: [far], pulledBytes: 1 })).toEqual({ do: 'yield', peer: far.id })
    expect(move({ rivals: [rival(60, 'pulling'), far], pulledBytes: 1 })).toEqual({
      do: 'yield',
      peer: far.id,
    })
  })

  test('both go on where both have', () => {
    expect(move({ rivals: [far], pulledBytes: YIELD_BYTES_MAX + 1 })).toEqual({ do: 'pull' })
  })

  test('it counts for nothing where its word does not', () => {
    const spent = { ...far, isSpent: true }
    expect(move({ rivals: [spent], pulledBytes: 1 })).toEqual({ do: 'pull' })
  })
})

test('of all who know each other and wait just one begins at once, and all begin in the end', () => {
  const ids = fc.uniqueArray(fc.record({ id: fc.string(), weight: fc.nat(20) }), {
    selector: ({ id }) => id,
    minLength: 1,
    maxLength: 12,
  })
  fc.assert(
    fc.property(ids, (nodes) => {
      const moveOf = (at: number, nowMs: number) => {
        const rivals = nodes
          .filter((_, i) => i !== at)
          .map((it) => ({ ...it, phase: 'waiting' as const, isSpent: false, toldBytes: 0 }))
        return move({ self: nodes[at]!, rivals, nowMs })
      }
      const count = (nowMs: number) =>
        nodes.filter((_, at) => moveOf(at, nowMs).do === 'pull').length
      expect(count(1_000)).toBe(1)
      expect(count(1_000 + TURN_MS)).toBe(Math.min(2, nodes.length))
      expect(count(1_000 + nodes.length * TURN_MS)).toBe(nodes.length)
    }),
  )
})

test('of any who pull, all but one yield to it', () => {
  const weights = fc.uniqueArray(fc.nat(1000), { minLength: 2, maxLength: 12 })
  fc.assert(
    fc.property(weights, (all) => {
      const moves = all.map((weight) =>
        move({
          self: { id: `peer-${weight}`, weight },
          rivals: all.filter((it) => it !== weight).map((it) => rival(it, 'pulling')),
          pulledBytes: 0,
        }),
      )
      const first = `peer-${Math.max(...all)}`
      const others = moves.filter((it) => it.do !== 'pull')
      expect(others).toHaveLength(all.length - 1)
      for (const it of others) expect(it).toEqual({ do: 'yield', peer: first })
    }),
  )
})
