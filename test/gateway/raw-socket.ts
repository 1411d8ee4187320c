import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** A connection on which a test writes what it likes. */
export interface RawSocket extends Disposable {
  readonly socket: Socket
  write(text: string | Uint8Array): void
  /** What has come so far. */
  received(): string
  /** Resolves once what has come matches. @throws where the connection closes before */
  until(pattern: RegExp): Promise<string>
  /** Resolves with all that came, once the other end has closed. */
  closed(): Promise<string>
}

/** Connects to a port of this machine. */
export async function rawSocket(port: number): Promise<RawSocket> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  let text = ''
  let isClosed = false
  let wake = (): void => undefined
  socket.setEncoding('latin1')
  socket.on('data', (part: string) => {
    text += part
    wake()
  })
  socket.on('error', () => undefined) // told by the close that follows
  socket.on('close', () => {
    isClosed = true
    wake()
  })
  const changed = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve
    })
  return {
    socket,
    write: (part) => void socket.write(part),
    received: () => text,
    until: async (pattern) => {
      for (;;) {
        if (pattern.test(text)) return text
        if (isClosed) throw new Error(`closed before ${pattern}; received: ${text}`)
        await changed()
      }
    },
    closed: async () => {
      while (!isClosed) await changed()
      return text
    },
    [Symbol.dispose]: () => void socket.destroy(),
  }
}
