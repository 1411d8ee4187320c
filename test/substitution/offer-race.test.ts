import { expect, test } from 'vitest'
import type { Call } from '../../src/foundation/call.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { unlessAborted } from '../../src/foundation/single-flight.ts'
import { OfferRace } from '../../src/substitution/offer-race.ts'
import type { Offer, PathSource } from '../../src/substitution/path-source.ts'
import { HEAD_START_MAX_MS, UNPROVEN_MS } from '../../src/substitution/source-order.ts'
import { SourceWatch } from '../../src/substitution/source-watch.ts'
import { pathInfoOf, pathNamed } from '../fixtures/claims.ts'
import { call } from '../fixtures/content.ts'
import { type ManualClock, manualClock, outcomeOf, settled } from '../foundation/manual-clock.ts'

const { hash } = pathNamed('wanted')

function offerOf(name: string): Offer {
  const claim = { pathInfo: pathInfoOf(name), origin: 'stranger' } as const
  return { kind: 'content', claim, fetch: async () => undefined, turnDown: () => undefined }
}

/** A source that answers when it is told to. */
class Puppet implements PathSource {
  readonly name: string
  readonly priority: number
  readonly limitMs?: number
  asked = 0
  left = 0
  wentOn = false
  #answer = Promise.withResolvers<readonly Offer[]>()

  constructor(name: string, init: { priority: number; limitMs?: number }) {
    this.name = name
    this.priority = init.priority
    if (init.limitMs !== undefined) this.limitMs = init.limitMs
  }

  answer(...offers: Offer[]): Promise<void> {
    this.#answer.resolve(offers)
    return settled()
  }

  fail(): Promise<void> {
    this.#answer.reject(new Error('the cable is cut'))
    return settled()
  }

  async *find(_: Uint8Array, { signal }: Call): AsyncGenerator<Offer> {
    this.asked++
    try {
      yield* await unlessAborted(this.#answer.promise, signal)
      this.wentOn = true
    } finally {
      if (signal.aborted) this.left++
    }
  }
}

function race(clock: ManualClock, ...sources: Puppet[]) {
  const watches = sources.map((source) => new SourceWatch({ source, clock, log: silentLog }))
  const it = new OfferRace({ sources: watches, clock }, hash)
  return { race: it, offers: it.run(call), watches }
}

test('the first has a head start; who has nothing gives way at once', async () => {
  const clock = manualClock()
  const [a, b] = [new Puppet('a', { priority: 0 }), new Puppet('b', { priority: 1 })]
  const { offers } = race(clock, a, b)
  const first = offers.next()
  await settled()
  expect([a.asked, b.asked]).toEqual([1, 0])
  await a.answer()
  expect(b.asked).toBe(1)
  await b.answer(offerOf('wanted'))
  expect((await first).value?.source.name).toBe('b')
  await offers.return(undefined)
})

test('a slow one is overtaken, and left once there is an offer', async () => {
  const clock = manualClock()
  const slow = new Puppet('slow', { priority: 0, limitMs: 60_000 })
  const fast = new Puppet('fast', { priority: 1 })
  const { offers, watches } = race(clock, slow, fast)
  const first = offers.next()
  await settled()
  await clock.pass(HEAD_START_MAX_MS)
  await fast.answer(offerOf('wanted'))
  expect((await first).value?.source.name).toBe('fast')
  await offers.return(undefined)
  await settled()
  expect(slow.left).toBe(1)
  expect(watches[0]!.report.faults).toBe(0) // to be overtaken is no fault
})

test('a source looks further only where what it has offered was not enough', async () => {
  const clock = manualClock()
  const source = new Puppet('a', { priority: 0 })
  const { offers } = race(clock, source)
  const first = offers.next()
  await settled()
  await source.answer(offerOf('wanted'))
  await first
  await settled()
  expect(source.wentOn).toBe(false)
  expect((await offers.next()).done).toBe(true)
  expect(source.wentOn).toBe(true)
})

test('who never answers is not waited for, and the answer is not called whole', async () => {
  const clock = manualClock()
  const silent = new Puppet('silent', { priority: 0 })
  const { race: it, offers, watches } = race(clock, silent)
  const first = offers.next()
  await settled()
  await clock.pass(HEAD_START_MAX_MS)
  await clock.pass(UNPROVEN_MS)
  expect((await first).done).toBe(true)
  expect(it.isWhole).toBe(false)
  expect(silent.left).toBe(1)
  expect(watches[0]!.report.faults).toBe(1)
  expect(watches[0]!.report.lastFault?.what).toMatch(/no answer/)
})

test('a failure is noted, and the others are asked', async () => {
  const clock = manualClock()
  const [a, b] = [new Puppet('a', { priority: 0 }), new Puppet('b', { priority: 1 })]
  const { race: it, offers, watches } = race(clock, a, b)
  const first = offers.next()
  await settled()
  await a.fail()
  await b.answer()
  expect((await first).done).toBe(true)
  expect(it.isWhole).toBe(false)
  expect(watches[0]!.report.lastFault?.what).toBe('the cable is cut')
})

test('where all say that they have nothing, that is the whole answer', async () => {
  const clock = manualClock()
  const [a, b] = [new Puppet('a', { priority: 0 }), new Puppet('b', { priority: 1 })]
  const { race: it, offers } = race(clock, a, b)
  const first = offers.next()
  await settled()
  await a.answer()
  await b.answer()
  expect((await first).done).toBe(true)
  expect(it.isWhole).toBe(true)
})

test('the only one, where it keeps to a limit of its own, is asked without ado', async () => {
  const clock = manualClock()
  const peers = new Puppet('peers', { priority: 0, limitMs: 3_000 })
  const { race: it, offers } = race(clock, peers)
  const first = offers.next()
  await settled()
  expect(clock.sleepers).toBe(0)
  await peers.answer(offerOf('wanted'))
  expect((await first).value?.source.name).toBe('peers')
  expect((await offers.next()).done).toBe(true)
  expect(it.isWhole).toBe(true)
  const failing = new Puppet('peers', { priority: 0, limitMs: 3_000 })
  const second = race(clock, failing)
  const none = second.offers.next()
  await settled()
  await failing.fail()
  expect((await none).done).toBe(true)
  expect(second.race.isWhole).toBe(false)
})

function doubtfulOffer(name: string): Offer {
  return Object.assign(offerOf(name), { isDoubtful: true })
}

test('a doubtful offer gives way, and comes where others have nothing', async () => {
  const clock = manualClock()
  const [a, b] = [new Puppet('a', { priority: 0 }), new Puppet('b', { priority: 1 })]
  const { offers } = race(clock, a, b)
  const first = offers.next()
  await settled()
  await a.answer(doubtfulOffer('wanted'))
  expect(b.asked).toBe(1)
  expect(await outcomeOf(first)).toBe('pending')
  await b.answer()
  expect((await first).value?.source.name).toBe('a')
  expect((await offers.next()).done).toBe(true)
})

test('a doubtful offer comes after those that others have', async () => {
  const clock = manualClock()
  const [a, b] = [new Puppet('a', { priority: 0 }), new Puppet('b', { priority: 1 })]
  const { offers } = race(clock, a, b)
  const first = offers.next()
  await settled()
  await a.answer(doubtfulOffer('wanted'))
  await b.answer(offerOf('wanted'))
  expect((await first).value?.source.name).toBe('b')
  expect((await offers.next()).value?.source.name).toBe('a')
  await offers.return(undefined)
})

test('a doubtful offer does not cost its source the head start', async () => {
  const clock = manualClock()
  const searcher = new Searcher('searcher', doubtfulOffer('wanted'))
  const other = new Puppet('other', { priority: 1 })
  const { offers } = race(clock, searcher, other)
  const first = offers.next()
  await settled()
  expect(other.asked).toBe(0)
  await searcher.answer(offerOf('wanted'))
  expect((await first).value?.source.name).toBe('searcher')
  expect(other.asked).toBe(0)
  await offers.return(undefined)
})

test('where an offer was no good, its source holds up no other with its search', async () => {
  const clock = manualClock()
  const slow = new Searcher('slow', offerOf('wanted'))
  const other = new Puppet('other', { priority: 1 })
  const { offers } = race(clock, slow, other)
  expect((await offers.next()).value?.source.name).toBe('slow')
  const second = offers.next()
  await settled()
  await clock.pass(HEAD_START_MAX_MS)
  expect(other.asked).toBe(1)
  await other.answer(offerOf('wanted'))
  expect((await second).value?.source.name).toBe('other')
  await offers.return(undefined)
})

/** A source that has an offer at once, and looks for others until it is told of them. */
class Searcher extends Puppet {
  readonly #first: Offer

  constructor(name: string, first: Offer) {
    super(name, { priority: 0, limitMs: 60_000 })
    this.#first = first
  }

  override async *find(wanted: Uint8Array, inner: Call): AsyncGenerator<Offer> {
    yield this.#first
    yield* super.find(wanted, inner)
  }
}
