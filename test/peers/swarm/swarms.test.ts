import { expect, test } from 'vitest'
import { DirectoryNode, SymlinkNode } from '../../../src/castore/model/node.ts'
import { BitSet } from '../../../src/foundation/bit-set.ts'
import type { Call } from '../../../src/foundation/call.ts'
import { Digest } from '../../../src/foundation/digest.ts'
import { OWNER_ACCESS, type ReadAccess } from '../../../src/pathinfo/read-access.ts'
import { serveSwarm, WATCHES_MAX } from '../../../src/peers/exchange/swarm-serving.ts'
import type { Answer } from '../../../src/peers/exchange/want.ts'
import { type Availability, KEEPALIVE_MS, NEWS_MS } from '../../../src/peers/swarm/availability.ts'
import { PieceList } from '../../../src/peers/swarm/piece-list.ts'
import type { Swarm } from '../../../src/peers/swarm/swarm.ts'
import {
  LINGER_MS,
  SWARMS_MAX,
  SwarmAccess,
  SwarmCastore,
  Swarms,
} from '../../../src/peers/swarm/swarms.ts'
import { pathInfoOf } from '../../fixtures/claims.ts'
import { call, noise } from '../../fixtures/content.ts'
import { directoryOf, nodeOf } from '../../fixtures/directories.ts'
import { memoryCastore } from '../../fixtures/neighbour.ts'
import { manualClock } from '../../foundation/manual-clock.ts'

const NOTHING: ReadAccess = {
  ...OWNER_ACCESS,
  isOwner: false,
  shares: ({ storePath }) => storePath.name.startsWith('shared'),
  tells: async () => false,
  reachesDirectory: () => false,
  reachesBlob: () => false,
}

const CHUNKS = [1, 2, 3].map((i) => ({ digest: Digest.of(noise(32, i)), size: 300_000 }))
const PIECES = PieceList.of([CHUNKS])
const BLOB = Digest.of(noise(32, 'blob'))
const directory = directoryOf({ link: new SymlinkNode(Buffer.from('elsewhere')) })
const root = nodeOf(directory)

function world() {
  const clock = manualClock()
  const swarms = new Swarms({ clock, access: NOTHING })
  const access = new SwarmAccess({ access: NOTHING, swarms })
  const join = (name: string) => swarms.join(pathInfoOf(name, { node: root }))
  return { clock, swarms, access, join }
}

function prepare(swarm: Swarm): void {
  const held = new BitSet(PIECES.size)
  held.add(1)
  swarm.prepare({ pieces: PIECES, directories: [directory], blobs: [BLOB], held })
}

/** What one who watches is told, as it comes. */
function watched(swarm: Swarm, pieces = PIECES.id.bytes, until: Call = call): Availability[] {
  const told: Availability[] = []
  const watch = async (): Promise<void> => {
    for await (const it of swarm.watch('other', pieces, until)) told.push(it)
  }
  watch().catch(() => undefined) // taken back
  return told
}

test('what is being fetched is for others only where the path is shared', () => {
  const { swarms, access, join } = world()
  expect(join('private')).toBeUndefined()
  expect(swarms.of(root.digest)).toBeUndefined()
  using membership = join('shared')
  prepare(membership!.swarm)
  for (const { digest } of CHUNKS) expect(access.reachesBlob(digest)).toBe(true)
  expect(access.reachesBlob(BLOB)).toBe(true)
  expect(access.reachesDirectory(root.digest)).toBe(true)
  expect(access.reachesBlob(Digest.of(noise(32, 'other')))).toBe(false)
  expect(access.reachesDirectory(BLOB)).toBe(false)
})

test('a fetch that failed leaves nothing behind, a whole one lingers until it is marked', async () => {
  const { clock, swarms, access, join } = world()
  {
    using failed = join('shared')
    prepare(failed!.swarm)
  }
  expect(access.reachesBlob(BLOB)).toBe(false)
  {
    using whole = join('shared')
    prepare(whole!.swarm)
    whole!.complete()
  }
  expect(access.reachesBlob(BLOB)).toBe(true)
  await clock.pass(LINGER_MS)
  expect(access.reachesBlob(BLOB)).toBe(false)
  expect(swarms.of(root.digest)).toBeUndefined()
})

test('the same content is fetched in one swarm, and there are only so many of them', () => {
  const { swarms, join } = world()
  expect(join('shared')).toBeDefined()
  expect(join('shared-too')).toBeUndefined()
  const joined = Array.from({ length: SWARMS_MAX }, (_, i) => {
    const node = new DirectoryNode(Digest.of(noise(32, i)), 1)
    return swarms.join(pathInfoOf('shared', { node }))
  })
  expect(joined.filter((it) => it !== undefined)).toHaveLength(SWARMS_MAX - 1)
})

test('who watches is told what is here, then what is new, and at last that all is here', async () => {
  const { clock, join } = world()
  using membership = join('shared')
  const { swarm } = membership!
  const members: string[] = []
  using _listening = swarm.onMember((peer) => members.push(peer))
  const told = watched(swarm)
  await clock.pass(0)
  expect(told).toEqual([{}]) // at it, without knowing with what
  prepare(swarm)
  await clock.pass(0)
  expect(told[1]).toMatchObject({ held: Uint8Array.of(0b010), claimed: [] })
  swarm.claims([0, 2], true)
  swarm.holds(0)
  swarm.claims([2], false)
  await clock.pass(0)
  expect(told).toHaveLength(2) // news is gathered for a moment
  await clock.pass(NEWS_MS)
  expect(told[2]).toEqual({ added: [0], claimed: [0], released: [2] })
  await clock.pass(KEEPALIVE_MS)
  await clock.pass(NEWS_MS)
  expect(told[3]).toEqual({ added: [], claimed: [], released: [] })
  membership!.complete()
  await clock.pass(0)
  await clock.pass(NEWS_MS)
  expect(told.at(-1)).toEqual({ complete: true })
  expect(members).toEqual(['other'])
})

test('who has cut the content otherwise is told nothing of it', async () => {
  const { clock, join } = world()
  using membership = join('shared')
  prepare(membership!.swarm)
  const told = watched(membership!.swarm, PieceList.of([CHUNKS.slice(1)]).id.bytes)
  await clock.pass(KEEPALIVE_MS)
  expect(told).toEqual([])
})

test('to others a root that is private is absent, whether it is fetched, held, or neither', async () => {
  const { swarms, access } = world()
  const castore = memoryCastore()
  const shared = new SwarmCastore({ castore, swarms })
  await castore.directories.put([directory], call)
  const reading = {
    blobs: shared.blobs,
    directories: {
      get: async (digest: Digest) =>
        access.reachesDirectory(digest) ? await shared.directories.get(digest, call) : undefined,
      closure: shared.directories.closure,
    },
  }
  const answers: Answer[] = []
  const send = async (answer: Answer): Promise<void> => void answers.push(answer)
  const want = { type: 'swarm', root: root.digest, pieces: PIECES.id.bytes } as const
  await serveSwarm(want, 'other', { swarms, shared: reading }, send, call)
  expect(answers).toEqual([{ type: 'absent', indices: [0] }])
  await serveSwarm(want, 'other', { swarms, shared }, send, call)
  expect(answers[1]).toEqual({ type: 'availability', availability: { complete: true } })
  expect(WATCHES_MAX).toBeGreaterThan(8)
})
