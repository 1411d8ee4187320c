import { expect, test } from 'vitest'
import { type Call, unhurriedCall } from '../../src/foundation/call.ts'
import { SingleFlight, unlessAborted } from '../../src/foundation/single-flight.ts'
import { outcomeOf, settled } from './manual-clock.ts'

/** Work that ends when the test says so, and remembers who began it with which signal. */
class Work {
  readonly calls: Call[] = []
  readonly results: PromiseWithResolvers<string>[] = []
  readonly run = (call: Call): Promise<string> => {
    this.calls.push(call)
    const result = Promise.withResolvers<string>()
    this.results.push(result)
    return result.promise
  }
}

test('all who ask while it runs share one piece of work', async () => {
  const flights = new SingleFlight<string>()
  const work = new Work()
  const asked = [1, 2, 3].map(() => flights.run('key', work.run, unhurriedCall()))
  expect(flights.size).toBe(1)
  work.results[0]!.resolve('done')
  expect(await Promise.all(asked)).toEqual(['done', 'done', 'done'])
  expect(work.calls.length).toBe(1)
  expect(flights.size).toBe(0)
})

test('other keys are other work', async () => {
  const flights = new SingleFlight<string>()
  const work = new Work()
  const asked = ['a', 'b'].map((key) => flights.run(key, work.run, unhurriedCall()))
  expect(flights.size).toBe(2)
  work.results[1]!.resolve('B')
  work.results[0]!.resolve('A')
  expect(await Promise.all(asked)).toEqual(['A', 'B'])
})

test('a result is not kept: who asks after it landed begins anew', async () => {
  const flights = new SingleFlight<string>()
  const work = new Work()
  const first = flights.run('key', work.run, unhurriedCall())
  work.results[0]!.resolve('one')
  expect(await first).toBe('one')
  const second = flights.run('key', work.run, unhurriedCall())
  work.results[1]!.resolve('two')
  expect(await second).toBe('two')
})

test('an error reaches everyone and is not kept either', async () => {
  const flights = new SingleFlight<string>()
  const work = new Work()
  const asked = [1, 2].map(() => flights.run('key', work.run, unhurriedCall()))
  work.results[0]!.reject(new Error('broken'))
  for (const it of asked) await expect(it).rejects.toThrow('broken')
  expect(flights.size).toBe(0)
  const again = flights.run('key', work.run, unhurriedCall())
  work.results[1]!.resolve('mended')
  expect(await again).toBe('mended')
})

test('one caller who leaves takes nothing from the others', async () => {
  const flights = new SingleFlight<string>()
  const work = new Work()
  const impatient = new AbortController()
  const first = flights.run('key', work.run, { signal: impatient.signal })
  const second = flights.run('key', work.run, unhurriedCall())
  impatient.abort(new Error('gone'))
  await expect(first).rejects.toThrow('gone')
  expect(work.calls[0]!.signal.aborted).toBe(false)
  expect(await outcomeOf(second)).toBe('pending')
  work.results[0]!.resolve('done')
  expect(await second).toBe('done')
})

test('the work is told to end when the last of its callers has left', async () => {
  const flights = new SingleFlight<string>()
  const work = new Work()
  const callers = [new AbortController(), new AbortController()]
  const asked = callers.map(({ signal }) => flights.run('key', work.run, { signal }))
  callers[0]!.abort()
  await expect(asked[0]).rejects.toThrow()
  expect(work.calls[0]!.signal.aborted).toBe(false)
  callers[1]!.abort()
  await expect(asked[1]).rejects.toThrow()
  expect(work.calls[0]!.signal.aborted).toBe(true)
  expect(flights.size).toBe(0)
})

test('who comes after everyone left does not join the dying work', async () => {
  const flights = new SingleFlight<string>()
  const work = new Work()
  const leaving = new AbortController()
  const first = flights.run('key', work.run, { signal: leaving.signal })
  leaving.abort()
  await expect(first).rejects.toThrow()
  const second = flights.run('key', work.run, unhurriedCall())
  expect(work.calls.length).toBe(2)
  // The late end of the old work must not take the new flight off the board.
  work.results[0]!.reject(new Error('aborted'))
  await settled()
  expect(flights.size).toBe(1)
  work.results[1]!.resolve('fresh')
  expect(await second).toBe('fresh')
})

test('who has left already begins nothing', async () => {
  const flights = new SingleFlight<string>()
  const work = new Work()
  const signal = AbortSignal.abort(new Error('late'))
  await expect(flights.run('key', work.run, { signal })).rejects.toThrow('late')
  expect(work.calls.length).toBe(0)
})

test('unlessAborted: whichever comes first', async () => {
  const expiry = new AbortController()
  expect(await unlessAborted(Promise.resolve(1), expiry.signal)).toBe(1)
  await expect(unlessAborted(Promise.reject(new Error('x')), expiry.signal)).rejects.toThrow('x')
  const waiting = unlessAborted(new Promise(() => undefined), expiry.signal)
  expiry.abort(new Error('over'))
  await expect(waiting).rejects.toThrow('over')
  await expect(unlessAborted(Promise.resolve(1), expiry.signal)).rejects.toThrow('over')
})
