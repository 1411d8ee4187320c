/*
 * The baseline of fetching: one libp2p stream with noise and yamux moving bytes between two
 * processes. Run by itself it is the sending process: it prints its address and sends as many
 * bytes as each stream asks for.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { secondsOf } from './measure.ts'

const PROTOCOL = '/cairn/bench/1'
const SEND_BYTES = 256 * 1024

function node(listen: string[]) {
  return createLibp2p({
    addresses: { listen },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
  })
}

/** Seconds that a bare stream takes to move so many bytes from another process to this one. */
export async function bareStreamSeconds(bytes: number): Promise<number> {
  const sender = spawn(process.execPath, [fileURLToPath(import.meta.url), `${bytes}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const receiver = await node([])
  try {
    const address = await new Promise<string>((resolve, reject) => {
      sender.stdout.once('data', (text) => resolve(String(text).trim()))
      sender.once('exit', () => reject(new Error('the sending process ended')))
    })
    const stream = await receiver.dialProtocol(multiaddr(address), PROTOCOL)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    return await secondsOf(async () => {
      let received = 0
      stream.addEventListener('message', (event) => {
        received += event.data.byteLength
        if (received >= bytes) resolve()
      })
      stream.addEventListener('close', (event) => reject(event.error))
      stream.send(new Uint8Array(1))
      await promise
    })
  } finally {
    await receiver.stop()
    sender.kill('SIGKILL')
  }
}

async function send(bytes: number): Promise<void> {
  const sender = await node(['/ip4/127.0.0.1/tcp/0'])
  await sender.handle(PROTOCOL, async (stream) => {
    const piece = new Uint8Array(SEND_BYTES)
    await new Promise((resolve) => stream.addEventListener('message', resolve, { once: true }))
    for (let sent = 0; sent < bytes; sent += SEND_BYTES) {
      if (stream.send(piece)) continue
      await new Promise((resolve) => stream.addEventListener('drain', resolve, { once: true }))
    }
  })
  process.stdout.write(`${sender.getMultiaddrs()[0]}\n`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await send(Number(process.argv[2]))
