import type { Stream } from '@libp2p/interface'
import { expect, test } from 'vitest'
import { ask } from '../../../src/peers/routing/kademlia-stream.ts'
import { call } from '../../fixtures/content.ts'

/** A stream that the other side has reset, which is noticed when something is sent. */
class ResetStream extends EventTarget {
  send(): boolean {
    throw new Error('the stream was reset')
  }

  abort(): void {
    this.dispatchEvent(new Event('close'))
  }
}

test('a server that resets its stream before it is asked fails the question, and nothing else', async () => {
  const unhandled: unknown[] = []
  const note = (error: unknown): void => void unhandled.push(error)
  process.on('unhandledRejection', note)
  try {
    const stream = new ResetStream() as unknown as Stream
    await expect(ask(stream, new Uint8Array(1), call)).rejects.toThrow('the stream was reset')
    await new Promise(setImmediate) // when Node tells of rejections that nobody has handled
    expect(unhandled).toEqual([])
  } finally {
    process.off('unhandledRejection', note)
  }
})
