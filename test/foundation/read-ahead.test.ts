import { expect, test } from 'vitest'
import { readAhead } from '../../src/foundation/read-ahead.ts'
import { outcomeOf, settled } from './manual-clock.ts'

/** Work that is begun at once and ends when the test says so. */
class Work {
  readonly begun: number[] = []
  readonly results = new Map<number, PromiseWithResolvers<string>>()
  readonly run = (item: number): Promise<string> => {
    this.begun.push(item)
    const result = Promise.withResolvers<string>()
    this.results.set(item, result)
    return result.promise
  }
  finish(item: number): void {
    this.results.get(item)!.resolve(`r${item}`)
  }
}

test('results come in the order of the items, however the work ends', async () => {
  const work = new Work()
  const results = readAhead([1, 2, 3], 2, work.run)
  const first = results.next()
  await settled()
  for (const item of [3, 2, 1]) work.finish(item)
  expect(await first).toEqual({ value: 'r1', done: false })
  expect(await Array.fromAsync(results)).toEqual(['r2', 'r3'])
})

test('it works on the items ahead, and on no more than the depth', async () => {
  const work = new Work()
  const results = readAhead([1, 2, 3, 4, 5], 2, work.run)
  const first = results.next()
  await settled()
  expect(work.begun).toEqual([1, 2, 3])
  work.finish(1)
  await first
  await settled()
  expect(work.begun).toEqual([1, 2, 3]) // the consumer has not asked for more
  const second = results.next()
  await settled()
  expect(work.begun).toEqual([1, 2, 3, 4])
  for (const item of [2, 3, 4]) work.finish(item)
  await second
  await settled()
})

test('a depth of 0 is one at a time', async () => {
  const work = new Work()
  const results = readAhead([1, 2], 0, work.run)
  void results.next()
  await settled()
  expect(work.begun).toEqual([1])
})

test('fewer items than the depth, and none', async () => {
  const double = async (item: number): Promise<number> => item * 2
  expect(await Array.fromAsync(readAhead([1, 2], 9, double))).toEqual([2, 4])
  expect(await Array.fromAsync(readAhead([], 9, double))).toEqual([])
})

test('an error is thrown in its turn, after the results before it', async () => {
  const seen: number[] = []
  const work = async (item: number): Promise<number> => {
    if (item === 2) throw new Error('second')
    return item
  }
  const all = async (): Promise<void> => {
    for await (const result of readAhead([1, 2, 3], 2, work)) seen.push(result)
  }
  await expect(all()).rejects.toThrow('second')
  expect(seen).toEqual([1])
})

test('an error ahead of its turn is nobody’s unhandled rejection', async () => {
  const work = new Work()
  const results = readAhead([1, 2], 1, work.run)
  const first = results.next()
  await settled()
  work.results.get(2)!.reject(new Error('second'))
  await settled() // vitest fails a run with an unhandled rejection
  work.finish(1)
  expect(await first).toEqual({ value: 'r1', done: false })
  await expect(results.next()).rejects.toThrow('second')
})

test('an early end awaits what was begun and closes the source', async () => {
  const work = new Work()
  let closed = false
  async function* items(): AsyncGenerator<number> {
    try {
      yield* [1, 2, 3, 4]
    } finally {
      closed = true
    }
  }
  const results = readAhead(items(), 2, work.run)
  const first = results.next()
  await settled()
  work.finish(1)
  await first
  const ended = results.return(undefined)
  expect(await outcomeOf(ended)).toBe('pending')
  expect(closed).toBe(true)
  work.results.get(2)!.reject(new Error('dropped with the rest'))
  expect(await outcomeOf(ended)).toBe('pending')
  work.finish(3)
  expect(await outcomeOf(ended)).toBe('kept')
})

test('an error of the source comes once what was begun has ended', async () => {
  const work = new Work()
  async function* items(): AsyncGenerator<number> {
    yield 1
    throw new Error('source')
  }
  const first = readAhead(items(), 2, work.run).next()
  expect(await outcomeOf(first)).toBe('pending')
  work.finish(1)
  await expect(first).rejects.toThrow('source')
})
