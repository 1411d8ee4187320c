import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Directory } from '../../src/castore/model/directory.ts'
import type { FileNode, Node } from '../../src/castore/model/node.ts'
import { MemoryRecordStore } from '../../src/castore/stores/memory-record-store.ts'
import type { Digest } from '../../src/foundation/digest.ts'
import { NamePattern } from '../../src/pathinfo/name-pattern.ts'
import type { ShareRules } from '../../src/pathinfo/share-policy.ts'
import { GONE_MS } from '../../src/pathinfo/shared-content.ts'
import { MemoryShareMarks } from '../../src/pathinfo/stores/memory-share-marks.ts'
import { pathNamed } from '../fixtures/claims.ts'
import { call, noise } from '../fixtures/content.ts'
import { nodeOf } from '../fixtures/directories.ts'
import { sharingWorld } from '../fixtures/sharing-world.ts'
import { manualClock } from '../foundation/manual-clock.ts'

const NAMES = ['p0', 'p1', 'p2', 'secret3', 'secret4']
const FILES = 6
const DIRECTORIES = 8
const secrets = [NamePattern.parse('secret*')!]
const RULES: readonly ShareRules[] = [
  {},
  { mode: 'all' },
  { mode: 'none' },
  { mode: 'all', deny: secrets },
  { mode: 'none', allow: secrets },
  { deny: secrets },
]

/** What may happen to a store; numbers name paths and roots. */
type Step =
  | { readonly do: 'put'; readonly path: number; readonly root: number; readonly signed: boolean }
  | { readonly do: 'share' | 'unshare' | 'remove'; readonly path: number }
  | { readonly do: 'restart' | 'crash'; readonly rules: number; readonly forgets: boolean }

const path = fc.nat(NAMES.length - 1)
const put = fc.record({
  do: fc.constant('put' as const),
  path,
  root: fc.nat(FILES + DIRECTORIES - 1),
  signed: fc.boolean(),
})
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: put },
  fc.record({ do: fc.constantFrom('share' as const, 'unshare' as const, 'remove' as const), path }),
  fc.record({
    do: fc.constantFrom('restart' as const, 'crash' as const),
    rules: fc.nat(RULES.length - 1),
    forgets: fc.boolean(),
  }),
)

/** For each Directory what is in it: files, and Directories before it. */
const shapes = fc.array(fc.array(fc.nat(FILES + DIRECTORIES - 1), { maxLength: 5 }), {
  minLength: DIRECTORIES,
  maxLength: DIRECTORIES,
})

class Oracle {
  readonly paths = new Map<number, { root: number; signed: boolean }>()
  readonly choices = new Map<number, boolean>()
  rules: ShareRules = {}
  readonly #below: readonly (readonly number[])[]

  constructor(below: readonly (readonly number[])[]) {
    this.#below = below
  }

  shares(index: number): boolean {
    const isNamed = (patterns: readonly NamePattern[] = []): boolean =>
      patterns.some((it) => it.matches(NAMES[index]!))
    const { mode = 'signed', allow, deny } = this.rules
    const chosen = this.choices.get(index)
    if (chosen !== undefined) return chosen
    if (isNamed(deny)) return false
    if (isNamed(allow) || mode === 'all') return true
    return mode === 'signed' && this.paths.get(index)!.signed
  }

  /** All that shared paths reach. */
  reached(): Set<number> {
    const reached = new Set<number>()
    const visit = (item: number): void => {
      reached.add(item)
      for (const inner of this.#below[item]!) visit(inner)
    }
    for (const [index, { root }] of this.paths) if (this.shares(index)) visit(root)
    return reached
  }
}

type World = Awaited<ReturnType<typeof sharingWorld>>

/** Files and Directories of these shapes, the files first, and what is directly below each. */
async function itemsOf(world: World, given: readonly (readonly number[])[]) {
  const files: FileNode[] = []
  for (let i = 0; i < FILES; i++) files.push(await world.file(noise(i === 0 ? 700_000 : 50 + i, i)))
  const directories: Directory[] = []
  const below: number[][] = files.map(() => [])
  for (const [i, shape] of given.entries()) {
    const inner = shape.filter((item) => item < FILES + i)
    const node = (item: number): Node => files[item] ?? nodeOf(directories[item - FILES]!)
    const entries = Object.fromEntries(inner.map((item, at) => [`${at}`, node(item)]))
    // Each has a name of its own, or else equal ones would be reached by whatever reaches the other.
    directories.push(await world.directory({ ...entries, [`d${i}`]: files[1]! }))
    below.push([...inner, 1])
  }
  return { files, directories, below }
}

test('after whatever happened, what is readable is what shared paths reach', async () => {
  await fc.assert(
    fc.asyncProperty(
      shapes,
      fc.array(step, { minLength: 1, maxLength: 14 }),
      async (given, steps) => {
        const clock = manualClock()
        const records = new MemoryRecordStore()
        let marks = new MemoryShareMarks()
        let world = await sharingWorld({ clock, records, marks })
        const { files, directories, below } = await itemsOf(world, given)
        const [layout] = await world.castore.blobs.layouts([files[0]!.digest], call)
        const oracle = new Oracle(below)
        const seen = (): Set<number> => {
          const isReached = (digest: Digest, item: number): boolean =>
            item < FILES ? world.shared.reachesBlob(digest) : world.shared.reachesDirectory(digest)
          const all = [...files, ...directories].map(({ digest }) => digest)
          return new Set(all.flatMap((digest, item) => (isReached(digest, item) ? [item] : [])))
        }
        for (const it of steps) {
          const narrows = await happen(it)
          // What is taken back is so at once, what is still shared comes in the background.
          if (narrows) expect(seen().difference(oracle.reached())).toEqual(new Set())
          await world.caughtUp()
          expect(oracle.reached().difference(seen())).toEqual(new Set())
          await clock.pass(GONE_MS)
          await world.caughtUp()
          expect(seen()).toEqual(oracle.reached())
          const chunks = layout!.map(({ digest }) => world.shared.reachesBlob(digest))
          expect(new Set(chunks)).toEqual(new Set([oracle.reached().has(0)]))
        }
        await world.shared.stop()

        async function happen(it: Step): Promise<boolean> {
          switch (it.do) {
            case 'put': {
              const roots = [...files, ...directories.map(nodeOf)]
              await world.put(NAMES[it.path]!, roots[it.root]!, it.signed)
              oracle.paths.set(it.path, it)
              return false
            }
            case 'share':
            case 'unshare': {
              if (!oracle.paths.has(it.path)) return false
              const shared = it.do === 'share'
              await world.sharing.choose([pathNamed(NAMES[it.path]!)], shared, call)
              oracle.choices.set(it.path, shared)
              return !shared
            }
            case 'remove': {
              const key = pathNamed(NAMES[it.path]!).hash
              await world.pathInfos.remove([key], call)
              oracle.paths.delete(it.path)
              return false
            }
            case 'restart':
            case 'crash': {
              await world.shared.stop()
              const state = (await marks.state())!
              if (it.do === 'crash') await marks.setState({ ...state, isClosed: false })
              if (it.forgets) marks = new MemoryShareMarks()
              oracle.rules = RULES[it.rules]!
              world = await sharingWorld({ clock, records, marks, rules: oracle.rules })
              return true
            }
          }
        }
      },
    ),
    { numRuns: 250 },
  )
})
