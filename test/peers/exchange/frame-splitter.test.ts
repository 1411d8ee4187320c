import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FRAME_BYTES_MAX } from '../../../src/peers/exchange/frame-channel.ts'
import { FrameError } from '../../../src/peers/exchange/frame-error.ts'
import { FrameSplitter, framePrefix } from '../../../src/peers/exchange/frame-splitter.ts'

const framed = (frame: Uint8Array): Uint8Array => Buffer.concat([framePrefix(frame.length), frame])

test('any cut of the stream gives the same frames', () => {
  const frames = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 })
  const cuts = fc.array(fc.nat(25), { minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(frames, cuts, (sent, lengths) => {
      const stream = Buffer.concat(sent.map(framed))
      const splitter = new FrameSplitter()
      const received: Uint8Array[] = []
      let at = 0
      for (let i = 0; at < stream.length; i++) {
        const length = lengths[i % lengths.length]! + (i >= lengths.length ? 1 : 0)
        received.push(...splitter.push(stream.subarray(at, at + length)))
        at += length
      }
      expect(received.map((it) => Buffer.from(it).toString('hex'))).toEqual(
        sent.map((it) => Buffer.from(it).toString('hex')),
      )
    }),
    { numRuns: 500 },
  )
})

test('a length that is claimed takes up no memory', () => {
  const before = process.memoryUsage().arrayBuffers
  const splitters = Array.from({ length: 50 }, () => new FrameSplitter())
  for (const splitter of splitters) {
    expect(splitter.push(framePrefix(FRAME_BYTES_MAX))).toEqual([])
    expect(splitter.push(new Uint8Array(10))).toEqual([])
  }
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(FRAME_BYTES_MAX)
})

test('a frame that is too long is refused at its prefix', () => {
  expect(() => new FrameSplitter().push(framePrefix(FRAME_BYTES_MAX + 1))).toThrow(FrameError)
  expect(() => new FrameSplitter().push(Uint8Array.of(255, 255, 255, 255))).toThrow(FrameError)
  const narrow = new FrameSplitter({}, { frameBytesMax: 10 })
  expect(narrow.push(framed(new Uint8Array(10))).length).toBe(1)
  expect(() => narrow.push(framed(new Uint8Array(11)))).toThrow(FrameError)
})
