import { expect, test } from 'vitest'
import { Digest } from '../../../src/foundation/digest.ts'
import { silentLog } from '../../../src/foundation/log.ts'
import { seededRandom } from '../../../src/foundation/random.ts'
import { systemClock } from '../../../src/foundation/system-clock.ts'
import type { ExchangeClient } from '../../../src/peers/exchange/exchange-client.ts'
import type { AnswerItem, Ask } from '../../../src/peers/exchange/exchange-session.ts'
import { PeerError } from '../../../src/peers/peer-error.ts'
import { PeerLedger } from '../../../src/peers/standing/peer-ledger.ts'
import type { Availability } from '../../../src/peers/swarm/availability.ts'
import { MemberWatch } from '../../../src/peers/swarm/member-watch.ts'
import { PieceFetch } from '../../../src/peers/swarm/piece-fetch.ts'
import { PieceList } from '../../../src/peers/swarm/piece-list.ts'
import { Swarm } from '../../../src/peers/swarm/swarm.ts'
import { SwarmView } from '../../../src/peers/swarm/swarm-view.ts'
import { call, noise } from '../../fixtures/content.ts'

const PIECES = PieceList.of([
  [1, 2, 3].map((i) => ({ digest: Digest.of(noise(32, i)), size: 300_000 })),
])

/** What comes of it when a peer says this: what the asking side throws, and what it knows then. */
async function hearing(answer: AnswerItem): Promise<{ thrown: unknown; view: SwarmView }> {
  const clock = systemClock
  const random = seededRandom(1)
  const ledger = new PeerLedger({ clock })
  const view = new SwarmView({ self: 'self', sizes: [1, 1, 1] })
  const transport = { ask: async () => undefined }
  const fetch = new PieceFetch({ view, transport, ledger, clock, random })
  let thrown: unknown
  const client = {
    ask: async (_peer: string, { onAnswer }: Ask) => {
      try {
        onAnswer(answer)
      } catch (error) {
        thrown = error
      }
      await heard
    },
  } as Partial<ExchangeClient> as ExchangeClient
  const { promise: heard, resolve } = Promise.withResolvers<void>()
  const network = { connected: () => [{ id: 'other', address: '', latencyMs: 1 }] }
  const components = { client, network, ledger, clock, random, log: silentLog }
  const swarm = new Swarm({ clock }, { root: Digest.of(noise(32)) })
  const watch = new MemberWatch(components, { swarm, pieces: PIECES, fetch })
  const seen = watch.during([], async () => view.peer('other')?.held?.toBytes(), call)
  await new Promise(setImmediate)
  resolve()
  await seen
  return { thrown, view }
}

const saying = (availability: Availability): AnswerItem => ({ type: 'availability', availability })

test.each<[string, AnswerItem]>([
  ['too few bits', saying({ held: new Uint8Array(0) })],
  ['too many bits', saying({ held: new Uint8Array(2) })],
  ['a bit beyond the last piece', saying({ held: Uint8Array.of(0b1000) })],
  ['a piece that there is not', saying({ added: [3] })],
  ['a claim of such a piece', saying({ claimed: [2 ** 32 - 1] })],
  ['that it does not fetch such a piece', saying({ released: [3] })],
  ['that it is one of fewer', saying({ complete: true, division: { members: 2, rank: 2 } })],
  ['something else', { type: 'directories', encoded: [] }],
])('a peer that says %s has broken the protocol', async (_, answer) => {
  const { thrown } = await hearing(answer)
  expect(thrown).toBeInstanceOf(PeerError)
  expect((thrown as PeerError).fault.code).toBe('protocol-broken')
})

test.each<[string, AnswerItem]>([
  ['what it has', saying({ held: Uint8Array.of(0b101) })],
  ['only that it is at it', saying({})],
  ['that it has everything', saying({ complete: true })],
  ['that it is not at it', { type: 'absent', indices: [0] }],
])('a peer may say %s', async (_, answer) => {
  expect((await hearing(answer)).thrown).toBeUndefined()
})
