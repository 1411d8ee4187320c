/*
 * The baseline of gRPC: grpc-js by itself moving the same messages between two processes, nothing
 * hashed and nothing stored. Run by itself it is the server: it prints its port, counts what is put
 * and sends as many bytes as it is asked for.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Client, credentials, Server, ServerCredentials } from '@grpc/grpc-js'
import { PIECE_BYTES_MAX } from '../../src/rpc/rpc-limits.ts'
import { CLIENT_OPTIONS, SERVER_OPTIONS } from '../../src/rpc/rpc-options.ts'
import { wireMethod, wireService } from '../../src/rpc/wire-service.ts'
import { secondsOf } from './measure.ts'

const SERVICE = 'bare.Bytes'
const PUT = wireMethod(SERVICE, 'Put', 'upload')
const READ = wireMethod(SERVICE, 'Read', 'download')

/** Seconds that bare grpc-js takes to send so many bytes, and to receive them. */
export async function bareGrpcSeconds(bytes: number): Promise<{ put: number; read: number }> {
  const server = spawn(process.execPath, [fileURLToPath(import.meta.url)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    const port = await new Promise<string>((resolve, reject) => {
      server.stdout.once('data', (text) => resolve(String(text).trim()))
      server.once('exit', () => reject(new Error('the serving process ended')))
    })
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), CLIENT_OPTIONS)
    const put = await secondsOf(() => putBare(client, bytes))
    const read = await secondsOf(() => readBare(client, bytes))
    client.close()
    return { put, read }
  } finally {
    server.kill('SIGKILL')
  }
}

async function putBare(client: Client, bytes: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const { path, requestSerialize, responseDeserialize } = PUT
  const stream = client.makeClientStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    (error) => (error === null ? resolve() : reject(error)),
  )
  const piece = Buffer.alloc(PIECE_BYTES_MAX)
  for (let sent = 0; sent < bytes; sent += piece.length) {
    if (!stream.write(piece)) await new Promise((done) => stream.once('drain', done))
  }
  stream.end()
  await promise
}

async function readBare(client: Client, bytes: number): Promise<void> {
  const { path, requestSerialize, responseDeserialize } = READ
  const asked = Buffer.from(String(bytes))
  const stream = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, asked)
  let received = 0
  for await (const piece of stream) received += (piece as Buffer).length
  if (received !== bytes) throw new Error(`${received} bytes came where ${bytes} were asked for`)
}

function serve(): void {
  const server = new Server(SERVER_OPTIONS)
  server.addService(wireService(SERVICE, { Put: 'upload', Read: 'download' }), {
    Put: (stream: NodeJS.ReadableStream, done: (error: null, answer: Buffer) => void) =>
      stream.on('data', () => undefined).on('end', () => done(null, Buffer.alloc(0))),
    Read: async (stream: NodeJS.WritableStream & { readonly request: Buffer }) => {
      const piece = Buffer.alloc(PIECE_BYTES_MAX)
      for (let left = Number(stream.request.toString()); left > 0; left -= piece.length) {
        if (!stream.write(piece)) await new Promise((room) => stream.once('drain', room))
      }
      stream.end()
    },
  })
  server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
    if (error !== null) throw error
    process.stdout.write(`${port}\n`)
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) serve()
