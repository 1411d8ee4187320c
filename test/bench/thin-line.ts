import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { RateLimit } from '../../src/foundation/rate-limit.ts'
import { systemClock } from '../../src/foundation/system-clock.ts'
import { call } from '../fixtures/content.ts'

/** A line that carries so much in a second, however many connections there are. */
export interface ThinLine extends AsyncDisposable {
  /** Where the server at its other end is found on this one. */
  readonly url: string
}

/** Puts a line of so many bytes a second before a server on a port of this machine. */
export async function thinLine(to: string, bytesPerSecond: number): Promise<ThinLine> {
  const rate = new RateLimit({ clock: systemClock }, { bytesPerSecond })
  const sockets = new Set<Socket>()
  const port = Number(new URL(to).port)
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ port, host: '127.0.0.1', noDelay: true })
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
    }
    const carry = (from: Readable, into: Writable): void => {
      pipeline(from, (pieces) => slowed(pieces, rate), into).catch(() => from.destroy()) // one end left
    }
    carry(near, far)
    carry(far, near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

async function* slowed(pieces: AsyncIterable<Buffer>, rate: RateLimit): AsyncGenerator<Buffer> {
  for await (const piece of pieces) {
    await rate.pass(piece.length, call)
    yield piece
  }
}
