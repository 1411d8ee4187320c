import { expect, test } from 'vitest'
import { Digest } from '../../../src/foundation/digest.ts'
import {
  decodeRequest,
  encodeResponse,
  type IncomingRequest,
} from '../../../src/peers/exchange/exchange-codec.ts'
import {
  type AnswerItem,
  BROUGHT_BYTES,
  BROUGHT_STALL_TIMES,
  ExchangeSession,
  IN_FLIGHT_BYTES_MAX,
  REQUEST_MS_MAX,
  SMALL_ANSWER_BYTES,
  STALL_MS,
} from '../../../src/peers/exchange/exchange-session.ts'
import { memoryFrameChannels } from '../../../src/peers/exchange/memory-frame-channel.ts'
import type { Answer, Want } from '../../../src/peers/exchange/want.ts'
import { PeerError } from '../../../src/peers/peer-error.ts'
import { call, noise } from '../../fixtures/content.ts'
import { manualClock, settled } from '../../foundation/manual-clock.ts'

const want: Want = { type: 'chunks', digests: [Digest.of(noise(32))] }
const DONE: Answer = { type: 'done' }
const chunkAt = (index: number, bytes = 10): Answer => ({
  type: 'chunks',
  chunks: [{ index, data: noise(bytes, index) }],
})

function world() {
  const clock = manualClock()
  const [near, far] = memoryFrameChannels()
  const session = new ExchangeSession({ peer: 'p', channel: near, clock })
  const requests: IncomingRequest[] = []
  far.receive((frame) => void requests.push(decodeRequest(frame))).catch(() => undefined)
  const answers: AnswerItem[] = []
  const ask = (bytes = 1000, signal = call.signal): Promise<void> => {
    const onAnswer = (answer: AnswerItem): void => void answers.push(answer)
    return session.request({ want, bytes, onAnswer }, { signal })
  }
  const answer = async (id: number, ...said: Answer[]): Promise<void> => {
    for (const it of said) await far.send(encodeResponse(id, it))
    await settled()
  }
  return { clock, far, session, requests, answers, ask, answer }
}

async function faultOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => 'none',
    (error: unknown) => (error instanceof PeerError ? error.fault.code : String(error)),
  )
}

test('many requests are under way at once, and answered in any order', async () => {
  const { requests, answers, ask, answer } = world()
  const asked = [ask(), ask(), ask()]
  await settled()
  expect(requests.map(({ id }) => id)).toEqual([1, 2, 3])
  await answer(3, chunkAt(0), DONE)
  await answer(1, DONE)
  await asked[2]
  await asked[0]
  expect(answers.length).toBe(1)
  await answer(2, chunkAt(0), chunkAt(1), DONE)
  await asked[1]
  expect(answers.length).toBe(3)
})

test('a request is over only when all that its answers led to is', async () => {
  const { session, answer } = world()
  const stored = Promise.withResolvers<void>()
  let isOver = false
  const asked = session
    .request({ want, bytes: 1, onAnswer: () => stored.promise }, call)
    .then(() => {
      isOver = true
    })
  await answer(1, chunkAt(0), DONE)
  expect(isOver).toBe(false)
  stored.resolve()
  await asked
})

test('a peer that refuses says so', async () => {
  const { ask, answer } = world()
  const fault = faultOf(ask())
  await answer(1, { type: 'refused', reason: 'not today' })
  expect(await fault).toBe('refused')
})

test.each([
  [
    'at once',
    () => {
      throw new Error('no good')
    },
  ],
  [
    'later',
    async () => {
      throw new Error('no good')
    },
  ],
])(
  'what the taker of answers throws %s ends that request and takes it back',
  async (_, onAnswer) => {
    const { session, requests, ask, answer } = world()
    const failed = session.request({ want, bytes: 1, onAnswer }, call)
    const other = ask()
    const outcome = expect(failed).rejects.toThrow('no good')
    await answer(1, chunkAt(0))
    await outcome
    await settled()
    expect(requests.at(-1)).toEqual({ id: 1, want: 'cancel' })
    await answer(1, chunkAt(0), DONE)
    await answer(2, DONE)
    await other
  },
)

test('an aborted request is taken back, and what still comes for it is let go', async () => {
  const { requests, answers, ask, answer, session } = world()
  const leave = new AbortController()
  const outcome = faultOf(ask(1, leave.signal))
  await settled()
  leave.abort(new Error('gone'))
  expect(await outcome).toBe('Error: gone')
  await settled()
  expect(requests.map((it) => it.want === 'cancel')).toEqual([false, true])
  await answer(1, chunkAt(0), DONE)
  expect(answers).toEqual([])
  expect(session.isOver).toBe(false)
})

test('an answer to no request ends the channel as broken', async () => {
  const { ask, answer, session } = world()
  const fault = faultOf(ask())
  await answer(1, DONE)
  expect(await fault).toBe('none')
  const next = faultOf(ask())
  await answer(1, DONE)
  expect(await next).toBe('protocol-broken')
  expect(session.isOver).toBe(true)
  expect(await faultOf(ask())).toBe('protocol-broken')
})

test('garbage ends all requests as broken', async () => {
  const { ask, far } = world()
  const faults = [faultOf(ask()), faultOf(ask())]
  await far.send([noise(50, 'garbage')])
  expect(await Promise.all(faults)).toEqual(['protocol-broken', 'protocol-broken'])
})

test('a channel that ends leaves its peer unreachable', async () => {
  const { ask, far, session } = world()
  const fault = faultOf(ask())
  await settled()
  far.abort(new Error('dead'))
  expect(await fault).toBe('unreachable')
  await session.ended
})

test('a silent peer is stalled after its time, and not before', async () => {
  const { ask, clock } = world()
  const fault = faultOf(ask())
  await settled()
  await clock.pass(STALL_MS - 1)
  await settled()
  expect(await Promise.race([fault, settled().then(() => 'waiting')])).toBe('waiting')
  await clock.pass(1)
  expect(await fault).toBe('stalled')
})

test('silence is counted from the last sign of life on', async () => {
  const { ask, answer, clock } = world()
  const fault = faultOf(ask())
  await settled()
  await clock.pass(1)
  await answer(1, chunkAt(0))
  await clock.pass(STALL_MS - 1)
  expect(await Promise.race([fault, settled().then(() => 'waiting')])).toBe('waiting')
  await clock.pass(1)
  expect(await fault).toBe('stalled')
})

test('who has brought content by the channel is given more time', async () => {
  const { ask, answer, clock } = world()
  const fault = faultOf(ask())
  await settled()
  await clock.pass(1)
  await answer(1, chunkAt(0, BROUGHT_BYTES))
  await clock.pass(STALL_MS)
  await settled()
  await clock.pass((BROUGHT_STALL_TIMES - 1) * STALL_MS - 1)
  expect(await Promise.race([fault, settled().then(() => 'waiting')])).toBe('waiting')
  await clock.pass(1)
  expect(await fault).toBe('stalled')
})

test('it is known for how long content is waited for, whatever else is answered', async () => {
  const { session, ask, answer, clock } = world()
  expect(session.waitedMs).toBeUndefined()
  const onAnswer = (): void => undefined
  const question: Want = { type: 'path-infos', hashes: [noise(20)] }
  const asked = [session.request({ want: question, bytes: 1, onAnswer }, call)]
  await settled()
  await clock.pass(100)
  expect(session.waitedMs).toBeUndefined() // not for content
  asked.push(ask(), ask())
  await settled()
  await clock.pass(100)
  await answer(1, { type: 'absent', indices: [0] }, DONE)
  await answer(2, chunkAt(0, 100))
  expect(session.waitedMs).toBe(100) // that was next to nothing
  await answer(3, chunkAt(0, 100_000))
  await clock.pass(10)
  expect(session.waitedMs).toBe(10)
  await answer(2, DONE)
  await answer(3, DONE)
  await Promise.all(asked)
  expect(session.waitedMs).toBeUndefined()
})

test('every sign of life gives more time, but not for ever', async () => {
  const { ask, answer, clock } = world()
  const fault = faultOf(ask())
  await settled()
  let passedMs = 0
  let outcome = 'waiting'
  while (outcome === 'waiting') {
    await answer(1, chunkAt(0))
    await clock.pass(STALL_MS / 2)
    passedMs += STALL_MS / 2
    outcome = await Promise.race([fault, settled().then(() => 'waiting')])
  }
  expect(outcome).toBe('stalled')
  expect(passedMs).toBe(REQUEST_MS_MAX)
})

test('a large frame on its way is a sign of life for all', async () => {
  const { ask, answer, clock } = world()
  const [slow, other] = [faultOf(ask()), ask()]
  await settled()
  for (let i = 0; i < 4; i++) {
    await answer(2, chunkAt(0, 100_000))
    await clock.pass(BROUGHT_STALL_TIMES * STALL_MS)
    await settled()
  }
  await answer(2, DONE)
  await other
  expect(await Promise.race([slow, settled().then(() => 'waiting')])).toBe('waiting')
  await clock.pass(BROUGHT_STALL_TIMES * STALL_MS)
  await settled()
  await clock.pass(BROUGHT_STALL_TIMES * STALL_MS)
  expect(await slow).toBe('stalled')
})

test('no more than so many bytes are asked for at once', async () => {
  const { requests, ask, answer } = world()
  const half = IN_FLIGHT_BYTES_MAX / 2
  const asked = [ask(half), ask(half), ask(half)]
  await settled()
  expect(requests.length).toBe(2)
  await answer(2, DONE)
  await asked[1]
  await settled()
  expect(requests.length).toBe(3)
  await answer(1, DONE)
  await answer(3, DONE)
  await Promise.all(asked)
})

test('small answers do not wait behind large ones', async () => {
  const { requests, ask, answer } = world()
  const large = [ask(IN_FLIGHT_BYTES_MAX), ask(IN_FLIGHT_BYTES_MAX)]
  await settled()
  const small = ask(SMALL_ANSWER_BYTES)
  await settled()
  expect(requests.map(({ id }) => id)).toEqual([1, 2])
  await answer(2, DONE)
  await small
  await answer(1, DONE)
  await large[0]
  await settled()
  await answer(3, DONE)
  await large[1]
})

test('a peer that ends no request that was taken back is given up', async () => {
  const { ask, session } = world()
  for (let i = 0; i < 300 && !session.isOver; i++) {
    const leave = new AbortController()
    const asked = ask(1, leave.signal).catch(() => undefined)
    await settled()
    leave.abort(new Error('gone'))
    await asked
    await settled()
  }
  expect(session.isOver).toBe(true)
})

test('closing ends what is under way', async () => {
  const { ask, session } = world()
  const fault = faultOf(ask())
  await settled()
  session.close()
  expect(await fault).toBe('unreachable')
})
