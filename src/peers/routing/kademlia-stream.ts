import type { Stream, StreamMessageEvent } from '@libp2p/interface'
import type { Call } from '../../foundation/call.ts'
import { encodePing, undelimited } from './kademlia-codec.ts'

/** Length of the longest answer of a DHT server that is read, in bytes. */
export const ANSWER_BYTES_MAX = 256 * 1024

/**
 * Gives a DHT server messages that it does not answer, one after another over one stream. A ping
 * after them tells that it has handled them all: a stream that is closed without it takes down with
 * it what waits to be read.
 */
export async function tell(stream: Stream, messages: Uint8Array, call: Call): Promise<void> {
  await ask(stream, Buffer.concat([messages, encodePing()]), call)
}

/** Gives a DHT server messages; says what it answers, and ends the stream. */
export async function ask(stream: Stream, messages: Uint8Array, call: Call): Promise<Uint8Array> {
  try {
    const answer = nextMessage(stream, call)
    answer.catch(() => undefined) // awaited below, but not where sending fails
    stream.send(messages) // what does not fit the window waits in the stream's buffer
    const message = await answer
    stream.close(call).catch((error) => stream.abort(error))
    return message
  } catch (error) {
    stream.abort(error instanceof Error ? error : new Error(String(error)))
    throw error
  }
}

async function nextMessage(stream: Stream, call: Call): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
  let received = new Uint8Array(0)
  const onMessage = ({ data }: StreamMessageEvent): void => {
    received = Buffer.concat([received, data.subarray()])
    const message = undelimited(received)
    if (message !== undefined) resolve(message)
    else if (received.length > ANSWER_BYTES_MAX) reject(new Error('the answer is too long'))
  }
  const onEnd = (): void => reject(new Error('the stream ended before the answer'))
  const onAbort = (): void => reject(call.signal.reason)
  stream.addEventListener('message', onMessage)
  stream.addEventListener('close', onEnd)
  stream.addEventListener('remoteCloseWrite', onEnd)
  call.signal.addEventListener('abort', onAbort)
  if (call.signal.aborted) onAbort()
  try {
    return await promise
  } finally {
    stream.removeEventListener('message', onMessage)
    stream.removeEventListener('close', onEnd)
    stream.removeEventListener('remoteCloseWrite', onEnd)
    call.signal.removeEventListener('abort', onAbort)
  }
}
