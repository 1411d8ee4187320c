import { tcp } from '@libp2p/tcp'
import { type Clock, deadline } from '../foundation/clock.ts'
import type { DialMemory } from './dial-memory.ts'

/** After so long without an answer a dial counts as failed, until it is answered after all. */
export const SILENCE_MS = 600

/** TCP, noting where nobody answers; a dial that its caller takes back soon says nothing. */
export function rememberingTcp(dials: DialMemory, clock: Clock): ReturnType<typeof tcp> {
  const make = tcp()
  return (components) => {
    const transport = make(components)
    const dial = transport.dial.bind(transport)
    transport.dial = async (address, options) => {
      // Noted before the dial ends: a handshake that nobody answers may take long to be given up.
      const silence = deadline(clock, SILENCE_MS, 'dialling')
      silence.signal.addEventListener('abort', () => dials.failed(address))
      try {
        const connection = await dial(address, options)
        dials.forget(address)
        return connection
      } catch (error) {
        if (!options.signal.aborted && !silence.signal.aborted) dials.failed(address)
        throw error
      } finally {
        silence.clear()
      }
    }
    return transport
  }
}
