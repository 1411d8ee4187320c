import { expect, test } from 'vitest'
import { ChannelEnded, type FrameChannel } from '../../src/peers/exchange/frame-channel.ts'
import { FrameError } from '../../src/peers/exchange/frame-error.ts'
import { until } from '../fixtures/await-peers.ts'
import { noise } from '../fixtures/content.ts'

/** Two ends of one channel. */
export interface ChannelPair extends AsyncDisposable {
  readonly near: FrameChannel
  readonly far: FrameChannel
}

/** How much may be on its way to a side that does not take it. */
const UNTAKEN_BYTES_MAX = 64 * 1024 * 1024

/** What every channel of frames keeps to. Each scenario gets a fresh pair. */
export function frameChannelContract(label: string, make: () => Promise<ChannelPair>): void {
  test(`${label}: frames of any size arrive whole, in order, in both directions`, async () => {
    await using pair = await make()
    const frames = [0, 1, 70_000, 3, 2_500_000, 0, 10].map((size, i) => noise(size, i))
    await Promise.all(
      [
        [pair.near, pair.far],
        [pair.far, pair.near],
      ].map(async ([from, to]) => {
        const received: Uint8Array[] = []
        to!.receive((frame) => void received.push(frame)).catch(() => undefined)
        for (const frame of frames) {
          const half = frame.length >> 1
          await from!.send([frame.subarray(0, half), frame.subarray(half)])
        }
        await until(() => received.length === frames.length)
        for (const [i, frame] of received.entries()) expect(frames[i]!.equals(frame)).toBe(true)
        const bytes = frames.reduce((sum, { length }) => sum + length, 0)
        expect(to!.receivedBytes).toBeGreaterThanOrEqual(bytes)
      }),
    )
  })

  test(`${label}: frames that come while one is worked on wait their turn`, async () => {
    await using pair = await make()
    const log: string[] = []
    const received = pair.far.receive(async (frame) => {
      log.push(`begin ${frame[0]}`)
      await new Promise((resolve) => setImmediate(resolve))
      log.push(`end ${frame[0]}`)
    })
    received.catch(() => undefined)
    for (const byte of [1, 2, 3]) await pair.near.send([Uint8Array.of(byte)])
    await until(() => log.length === 6)
    expect(log).toEqual([1, 2, 3].flatMap((byte) => [`begin ${byte}`, `end ${byte}`]))
  })

  test(`${label}: a slow receiver slows the sender, and then gets all`, async () => {
    await using pair = await make()
    const frame = noise(1024 * 1024)
    const count = 96
    const go = Promise.withResolvers<void>()
    let received = 0
    const receiving = pair.far.receive(async () => {
      await go.promise
      received++
    })
    receiving.catch(() => undefined)
    let sent = 0
    const sending = (async () => {
      for (let i = 0; i < count; i++) {
        await pair.near.send([frame])
        sent++
      }
    })()
    let before = -1
    await until(async () => {
      if (before === sent) return true
      before = sent
      await new Promise((resolve) => setTimeout(resolve, 100))
      return false
    })
    expect(sent * frame.length).toBeLessThan(UNTAKEN_BYTES_MAX)
    expect(received).toBe(0)
    go.resolve()
    await sending
    await until(() => received === count)
  })

  test(`${label}: what a receiver throws ends its receiving with just that`, async () => {
    await using pair = await make()
    const reason = new Error('no such frame')
    const receiving = pair.far.receive(() => {
      throw reason
    })
    const ended = expect(receiving).rejects.toBe(reason)
    await pair.near.send([noise(3)])
    await ended
  })

  test(`${label}: a frame that is longer than the receiver takes is an error`, async () => {
    await using pair = await make()
    const sizes: number[] = []
    const receiving = pair.far.receive((frame) => void sizes.push(frame.length), 100)
    const ended = expect(receiving).rejects.toThrow(FrameError)
    await pair.near.send([noise(100)])
    await pair.near.send([noise(101)])
    await ended
    expect(sizes).toEqual([100])
  })

  test(`${label}: an abort ends both sides, whatever they are at`, async () => {
    await using pair = await make()
    const ends = [pair.near, pair.far].map((channel) => channel.receive(() => undefined))
    const outcomes = ends.map((end) => expect(end).rejects.toThrow(ChannelEnded))
    await pair.near.send([noise(10)])
    await until(() => pair.far.receivedBytes > 0)
    pair.near.abort(new Error('enough'))
    await Promise.all(outcomes)
    await expect(pair.near.send([noise(1)])).rejects.toThrow()
    await expect(pair.far.send([noise(1)])).rejects.toThrow()
  })

  test(`${label}: a sender that waits for room is told of the end`, async () => {
    await using pair = await make()
    pair.far.receive(() => new Promise(() => undefined)).catch(() => undefined)
    const frame = noise(1024 * 1024)
    const sending = (async () => {
      for (;;) await pair.near.send([frame])
    })()
    const ended = expect(sending).rejects.toThrow()
    await until(() => pair.far.receivedBytes > 0)
    pair.far.abort(new Error('enough'))
    await ended
  })
}
