import { expect, test } from 'vitest'
import { LightController, lightAborts } from '../../simulations/world/light-abort.ts'
import { VirtualClock } from '../../simulations/world/virtual-clock.ts'
import { deadline } from '../../src/foundation/clock.ts'

test('time jumps from event to event, and promises settle in between', async () => {
  const clock = new VirtualClock()
  const { signal } = new AbortController()
  const seen: string[] = []
  const work = async (name: string, ms: number) => {
    await clock.sleep(ms, { signal })
    for (let turn = 0; turn < 50; turn++) await undefined
    seen.push(`${name} at ${clock.now()}`)
    await clock.sleep(ms, { signal })
    seen.push(`${name} at ${clock.now()}`)
  }
  void work('a', 3_600_000)
  void work('b', 1)
  void work('c', 1)
  await clock.run(() => false)
  const hour = 3_600_000
  expect(seen).toEqual(['b at 1', 'c at 1', 'b at 2', 'c at 2', `a at ${hour}`, `a at ${2 * hour}`])
})

test('a sleep that is cut short leaves nothing to happen', async () => {
  const clock = new VirtualClock()
  const limit = deadline(clock, 1000, 'it')
  limit.clear()
  await clock.run(() => false)
  expect(clock.now()).toBe(0)
  const expired = deadline(clock, 1000, 'it')
  await clock.run(() => false)
  expect(expired.signal.aborted).toBe(true)
})

test('what an event throws ends the run', async () => {
  const clock = new VirtualClock()
  clock.in(1, () => {
    throw new Error('broken')
  })
  await expect(clock.run(() => false)).rejects.toThrow('broken')
})

test('light signals are told, in order, and of each other, as those of Node are', () => {
  const told = (): string[] => {
    const seen: string[] = []
    const [a, b] = [new AbortController(), new AbortController()]
    const any = AbortSignal.any([a.signal, AbortSignal.any([b.signal])])
    const never = (): void => void seen.push('removed')
    any.addEventListener('abort', never)
    any.addEventListener('abort', () => seen.push(`any: ${any.reason}`))
    b.signal.addEventListener('abort', () => seen.push('b'))
    any.removeEventListener('abort', never)
    seen.push(`${any.aborted} ${any.reason}`)
    b.abort('why')
    a.abort('too late')
    a.abort('again')
    const after = AbortSignal.any([any])
    after.addEventListener('abort', () => seen.push('never'))
    seen.push(`${after.aborted} ${after.reason} ${any.reason} ${a.signal.reason}`)
    expect(() => after.throwIfAborted()).toThrow('why')
    const plain = new AbortController()
    plain.abort()
    seen.push(String((plain.signal.reason as Error).name))
    return seen.sort()
  }
  const real = told()
  using _light = lightAborts()
  expect(new AbortController()).toBeInstanceOf(LightController)
  expect(told()).toEqual(real)
})
