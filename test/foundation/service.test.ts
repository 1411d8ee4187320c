import { expect, test } from 'vitest'
import { type Service, startAll, stopAll, stoppedTogether } from '../../src/foundation/service.ts'

/** Services that write down what happens to them; those named may fail. */
function services(
  names: readonly string[],
  fails: { start?: string; stop?: readonly string[] } = {},
): { all: Service[]; events: string[] } {
  const events: string[] = []
  const all = names.map((name) => ({
    name,
    start: async () => {
      events.push(`start ${name}`)
      await Promise.resolve()
      if (fails.start === name) throw new Error(`${name} does not start`)
      events.push(`${name} runs`)
    },
    stop: async () => {
      events.push(`stop ${name}`)
      await Promise.resolve()
      if (fails.stop?.includes(name)) throw new Error(`${name} does not stop`)
      events.push(`${name} ended`)
    },
  }))
  return { all, events }
}

test('services start in turn, each when the one before it runs', async () => {
  const { all, events } = services(['a', 'b'])
  await startAll(all)
  expect(events).toEqual(['start a', 'a runs', 'start b', 'b runs'])
})

test('services stop in reverse order', async () => {
  const { all, events } = services(['a', 'b'])
  await stopAll(all)
  expect(events).toEqual(['stop b', 'b ended', 'stop a', 'a ended'])
})

test('where one does not start, those that did are stopped and its error is told', async () => {
  const { all, events } = services(['a', 'b', 'c', 'd'], { start: 'c', stop: ['b'] })
  await expect(startAll(all)).rejects.toThrow('c does not start')
  expect(events.slice(4)).toEqual(['start c', 'stop b', 'stop a', 'a ended'])
})

test('one that does not stop keeps no other from stopping, and all errors are told', async () => {
  const { all, events } = services(['a', 'b', 'c'], { stop: ['c', 'a'] })
  const error = await stopAll(all).catch((it: unknown) => it)
  expect(events).toEqual(['stop c', 'stop b', 'b ended', 'stop a'])
  expect(error).toBeInstanceOf(AggregateError)
  expect((error as AggregateError).errors.map((it: Error) => it.message)).toEqual([
    'c does not stop',
    'a does not stop',
  ])
})

test('services that are stopped together start in turn and wait for none of each other', async () => {
  const { all, events } = services(['a', 'b'])
  const together = stoppedTogether('both', all)
  await together.start()
  await together.stop()
  expect(events.slice(0, 4)).toEqual(['start a', 'a runs', 'start b', 'b runs'])
  expect(events.slice(4)).toEqual(['stop a', 'stop b', 'a ended', 'b ended'])
})

test('of those that are stopped together, too, all errors are told', async () => {
  const { all, events } = services(['a', 'b', 'c'], { stop: ['a', 'c'] })
  const error = await stoppedTogether('all', all)
    .stop()
    .catch((it: unknown) => it)
  expect(events).toContain('b ended')
  expect((error as AggregateError).errors).toHaveLength(2)
})
