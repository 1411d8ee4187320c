import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type HeldPath, retentionOrder } from '../../src/retention/retention-order.ts'

const path = (
  key: string,
  usedMs: number,
  references: string[] = [],
  isPinned = false,
): HeldPath => ({
  key,
  usedMs,
  references,
  isPinned,
})

test('what is pinned comes first, then what was used last, each behind what it needs', () => {
  const order = retentionOrder([
    path('libc', 1),
    path('old', 2, ['libc']),
    path('new', 9, ['lib', 'libc']),
    path('lib', 3, ['lib']),
    path('kept', 1, ['base'], true),
    path('base', 0),
  ])
  expect(order.map(({ key }) => key)).toEqual(['base', 'kept', 'lib', 'libc', 'new', 'old'])
  expect(order.find(({ key }) => key === 'libc')!.usedMs).toBe(9)
  expect(order.find(({ key }) => key === 'base')!.isPinned).toBe(true)
})

test('wherever the order is cut, no closure lacks anything, and nothing pinned is lost', () => {
  const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
  const anyPaths = fc
    .array(
      fc.record({
        usedMs: fc.nat(5),
        references: fc.array(fc.constantFrom(...keys, 'not held'), { maxLength: 4 }),
        isPinned: fc.boolean(),
      }),
      { maxLength: keys.length },
    )
    .map((all) =>
      all.map((it, i) => {
        // Paths refer to those that were there before them, or to themselves: Nix has no cycles.
        const older = new Set([...keys.slice(0, i + 1), 'not held'])
        const references = it.references.filter((reference) => older.has(reference))
        return { ...it, references, key: keys[i]! }
      }),
    )
  fc.assert(
    fc.property(anyPaths, (paths) => {
      const order = retentionOrder(paths).map(({ key }) => key)
      expect([...order].sort()).toEqual(paths.map(({ key }) => key).sort())
      const held = new Set(order)
      const needs = new Map(paths.map((it) => [it.key, it.references.filter((r) => held.has(r))]))
      const reaches = (from: string, seen = new Set<string>()): Set<string> => {
        if (!seen.has(from)) {
          seen.add(from)
          for (const next of needs.get(from)!) reaches(next, seen)
        }
        return seen
      }
      for (let cut = 0; cut <= order.length; cut++) {
        const kept = new Set(order.slice(0, cut))
        for (const key of kept) {
          for (const needed of reaches(key)) expect(kept.has(needed)).toBe(true)
        }
      }
      const ranked = retentionOrder(paths)
      const firstFree = ranked.findIndex(({ isPinned }) => !isPinned)
      if (firstFree >= 0) expect(ranked.slice(firstFree).every((it) => !it.isPinned)).toBe(true)
      for (const it of paths.filter(({ isPinned }) => isPinned)) {
        for (const needed of reaches(it.key)) {
          expect(ranked.find(({ key }) => key === needed)!.isPinned).toBe(true)
        }
      }
      const times = ranked.filter(({ isPinned }) => !isPinned).map(({ usedMs }) => usedMs)
      expect(times).toEqual([...times].sort((a, b) => b - a))
    }),
  )
})

test('a chain of 100,000 references needs no deep stack', () => {
  const paths = Array.from({ length: 100_000 }, (_, i) => path(`${i}`, i, [`${i - 1}`]))
  const order = retentionOrder(paths)
  expect(order[0]!.key).toBe('0')
  expect(order.length).toBe(100_000)
})
