import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { ingestNar } from '../../src/nar/ingest-nar.ts'
import { FLOODS, flood, ROLES } from '../fixtures/cast.ts'
import { call, noise } from '../fixtures/content.ts'
import type { PeerNode } from '../fixtures/peer-node.ts'
import { directory, file, inPieces, narOf } from '../nar/trees.ts'
import { relayPeer } from './relay-peer.ts'

/** Whom to harm; sent by the parent process once. */
export interface Victims {
  /** URLs of gateways. */
  readonly gateways: readonly string[]
  /** `HOST:PORT` of gRPC servers. */
  readonly rpcs: readonly string[]
  /** Addresses of peers, with their ids. */
  readonly peers: readonly { readonly id: string; readonly address: string }[]
  /** The peer whose answers bad peers pass on. */
  readonly honest: string
}

/** What the parent asks for. */
export type Order =
  | {
      readonly do: 'begin'
      readonly victims: Victims
      readonly crews: readonly Crew[]
      /** How long a bad peer lives until it comes back under another name, in milliseconds. */
      readonly peerLifeMs: number
    }
  | { readonly do: 'rest' }

/** Bad peers of the network, and bad clients of the gateways and of gRPC. */
export type Crew = 'peers' | 'clients'

/** How long a bad client waits until its next act. */
const ACT_MS = 400

/** How many connections that say nothing are held open at each listener. */
const SILENT_CONNECTIONS = 20

let acts: Record<string, number> = {}
let resting = new AbortController()
resting.abort()
let underWay: Promise<unknown> = Promise.resolve()

process.on('message', (order: Order) => {
  if (order.do === 'begin') {
    resting = new AbortController()
    const { victims, crews, peerLifeMs } = order
    const { signal } = resting
    underWay = Promise.all([
      ...(crews.includes('peers')
        ? ROLES.map((it, i) =>
            peerLives({ role: it, turn: i, lifeMs: peerLifeMs }, victims, signal),
          )
        : []),
      ...(crews.includes('clients') ? [clientActs(victims, signal)] : []),
    ])
    underWay.catch((error) => {
      console.error('the hostile have failed', error)
      process.exit(1)
    })
  } else {
    resting.abort()
    void underWay.finally(() => {
      process.send!({ acts })
      acts = {}
    })
  }
})
process.on('disconnect', () => process.exit(0))

function count(what: string): void {
  acts[what] = (acts[what] ?? 0) + 1
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined) // the hostile are to rest
}

/** Bad peers of a role, one life after the other: each is banned sooner or later. */
async function peerLives(
  { role, turn, lifeMs }: { role: (typeof ROLES)[number]; turn: number; lifeMs: number },
  victims: Victims,
  signal: AbortSignal,
): Promise<void> {
  await pause((lifeMs / ROLES.length) * turn, signal)
  while (!signal.aborted) {
    await using stack = new AsyncDisposableStack()
    const trojan = inPieces(narOf(directory({ trojan: file('horse') })), [1000])
    const addresses = victims.peers.map(({ address }) => address)
    const init = { role, addresses, honest: victims.honest, otherRoot: OTHER_ROOT }
    const node: PeerNode = stack.use(await relayPeer(init))
    await ingestNar(trojan, node.castore, call)
    count(role)
    if (role === 'flooder') await floods(node, victims, signal)
    await pause(lifeMs, signal)
  }
}

const OTHER_ROOT = { type: 'symlink', target: Buffer.from('/nix/store/trojan') } as const

async function floods(node: PeerNode, { peers }: Victims, signal: AbortSignal): Promise<void> {
  await pause(1_000, signal) // until it is connected
  for (const [i, { id }] of peers.entries()) {
    const way = Object.keys(FLOODS)[(acts.flooder! + i) % Object.keys(FLOODS).length]!
    await flood(node, id, way).catch(() => undefined) // it was banned before it began
    count(`flood of ${way}`)
  }
}

/** What clients of the gateways and of gRPC do. */
async function clientActs(victims: Victims, signal: AbortSignal): Promise<void> {
  const silent: Socket[] = []
  const ports = [...victims.gateways.map((url) => new URL(url)), ...victims.rpcs.map(rpcUrl)]
  const peerPorts = victims.peers.map(({ address }) => Number(/\/tcp\/(\d+)/.exec(address)![1]))
  const listeners = [...ports.map((url) => Number(url.port)), ...peerPorts]
  for (let round = 0; !signal.aborted; round++) {
    for (const port of listeners) {
      if (silent.length >= SILENT_CONNECTIONS * listeners.length) silent.shift()!.destroy()
      silent.push(silentConnection(port, round))
      count('silent connection')
    }
    for (const url of victims.gateways) await harm(url, round, signal)
    for (const rpc of victims.rpcs) grpcGarbage(rpc)
    await pause(ACT_MS, signal)
  }
  for (const socket of silent) socket.destroy()
}

function rpcUrl(rpc: string): URL {
  return new URL(`http://${rpc}`)
}

/** Half a request, half a frame, or nothing at all, and then silence. */
function silentConnection(port: number, round: number): Socket {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined) // being cut off is what it is for
  const words = [
    '',
    'GET /nix-cache-info HTTP/1.1\r\nHost: x\r\nX-Slow: ',
    'PRI * HTTP/2.0\r\n',
    '\0\0',
  ]
  socket.write(words[round % words.length]!)
  return socket
}

const HASH = '0123456789abcdfghijklmnpqrsvwxyz'

/** Requests that have to be refused. */
const REQUESTS: readonly (readonly [string, string, RequestInit?])[] = [
  ['traversal', '/nar/..%2f..%2fetc%2fpasswd'],
  ['traversal', '/log/../../etc/passwd'],
  ['garbage', `/nar/snix-castore/${'A'.repeat(4000)}`],
  ['narinfo of nothing', `/${HASH}.narinfo`, { method: 'PUT', body: 'StorePath: nonsense\n' }],
  ['narinfo that is long', `/${HASH}.narinfo`, { method: 'PUT', body: 'x'.repeat(2_000_000) }],
  ['NAR that is none', '/nar/x.nar', { method: 'PUT', body: noise(300_000, 'garbage') }],
  [
    'NAR that is cut',
    '/nar/y.nar',
    { method: 'PUT', body: narOf(file(noise(500_000))).subarray(0, 400_000) },
  ],
  ['xz that is none', '/nar/z.nar.xz', { method: 'PUT', body: noise(100_000, 'xz') }],
  ['unknown method', '/nix-cache-info', { method: 'DELETE' }],
  ['many ranges', '/nix-cache-info', { headers: { range: `bytes=${'0-1,'.repeat(500)}5-6` } }],
]

async function harm(url: string, round: number, signal: AbortSignal): Promise<void> {
  const [what, path, init] = REQUESTS[round % REQUESTS.length]!
  const limit = AbortSignal.any([signal, AbortSignal.timeout(20_000)])
  await fetch(`${url}${path}`, { ...init, signal: limit }).then(
    async (answer) => {
      await answer.body?.cancel()
      if (answer.ok && init?.method === 'PUT') throw new Error(`${what} was taken`)
    },
    () => undefined, // cut off, or resting
  )
  count(what)
}

/** An HTTP/2 connection with a call that carries garbage, and one that never ends. */
function grpcGarbage(rpc: string): void {
  const session: ClientHttp2Session = connectHttp2(`http://${rpc}`)
  session.on('error', () => undefined) // being cut off is what it is for
  for (const [path, body] of [
    ['/tvix.castore.v1.DirectoryService/Put', noise(5_000, 'grpc')],
    ['/tvix.castore.v1.BlobService/Put', undefined],
  ] as const) {
    const headers = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc' }
    const stream = session.request({ ...headers, te: 'trailers' })
    stream.on('error', () => undefined)
    if (body !== undefined) stream.end(body)
    count('gRPC garbage')
  }
  setTimeout(() => session.destroy(), 5_000).unref()
}
