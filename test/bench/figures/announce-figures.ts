import { type ChildProcess, fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { unhurriedCall } from '../../../src/foundation/call.ts'
import { systemClock } from '../../../src/foundation/system-clock.ts'
import { DhtRouter } from '../../../src/peers/routing/dht-router.ts'
import { inSpaceOrder } from '../../../src/peers/routing/kademlia-id.ts'
import { countSockets, type SocketBytes, startHost } from '../announce-nodes.ts'
import type { Figure } from '../figure.ts'

const NODES = 20

/** The largest LAN that the idle figure is extrapolated to. */
const LAN_NODES = 50

/** How many keys are announced. */
const KEYS = (process.env.CAIRN_BENCH_KEYS ?? '1000,10000,100000').split(',').map(Number)

/** How long nodes come to rest, and are watched; what they do once an hour is seldom among it. */
const REST_SECONDS = Number(process.env.CAIRN_BENCH_REST_SECONDS ?? 60)
const IDLE_SECONDS = Number(process.env.CAIRN_BENCH_IDLE_SECONDS ?? 300)

/** What `provide()` of libp2p does for each key, measured on such a machine with 20 nodes. */
const PROVIDES_PER_SECOND = 27

const call = unhurriedCall()

/** Announcing to twenty nodes, and what nodes send that have nothing to do. */
export async function announceFigures(scratch: string): Promise<Figure[]> {
  return [...(await announcing(scratch)), await idle(scratch)]
}

async function announcing(scratch: string): Promise<Figure[]> {
  const { child, addresses } = await begin(scratch)
  const bytes = countSockets()
  const host = await startHost(join(scratch, 'announcer'), addresses)
  const router = new DhtRouter({ routing: host.contentRouting, self: host.id, clock: systemClock })
  const figures: Figure[] = []
  try {
    while (router.reach < NODES) await sleep(50)
    for (const count of KEYS) {
      let rest = inSpaceOrder(Array.from({ length: count }, (_, i) => keyOf(`${count} ${i}`)))
      const before = bytes().tcp
      const begunMs = performance.now()
      let told = 0
      while (rest.length > 0) {
        const done = await router.announce(rest, call).catch(() => undefined)
        told = done?.told ?? 0
        rest = rest.slice(done?.keys ?? 0) // once more where all were too busy
      }
      const rate = count / ((performance.now() - begunMs) / 1000)
      figures.push({
        what: `announcing ${count} keys to ${told} nodes, without a budget`,
        value: `${rate.toFixed(0)} keys/s`,
        baseline: `provide() ${PROVIDES_PER_SECOND} keys/s`,
        ratio: `${((bytes().tcp - before) / count).toFixed(0)} B a key`,
        aim: '',
      })
    }
  } finally {
    await host.stop()
    await end(child)
  }
  return figures
}

async function idle(scratch: string): Promise<Figure> {
  const { child } = await begin(scratch, 'mdns')
  try {
    await sleep(REST_SECONDS * 1000)
    const before = await bytesOf(child)
    await sleep(IDLE_SECONDS * 1000)
    const after = await bytesOf(child)
    const perDay = 86_400 / IDLE_SECONDS / NODES / 1e6
    const tcp = (after.tcp - before.tcp) * perDay
    const udp = (after.udp - before.udp) * perDay
    // Pings and lookups grow with the number of neighbours; so do the answers that mDNS brings, and
    // each question is answered by everybody.
    const tcpOfMore = (tcp * (LAN_NODES - 1)) / (NODES - 1)
    const udpOfMore = udp * (LAN_NODES / NODES) ** 2
    return {
      what: `what an idle node of ${NODES} sends and receives`,
      value: `${(tcp + udp).toFixed(0)} MB a day`,
      baseline: `mDNS ${udp.toFixed(0)} MB of it`,
      ratio: `of ${LAN_NODES}: ${(tcpOfMore + udpOfMore).toFixed(0)} MB`,
      aim: '≤ 100 MB a day',
    }
  } finally {
    await end(child)
  }
}

async function begin(scratch: string, ...args: string[]) {
  const program = fileURLToPath(new URL('../announce-nodes.ts', import.meta.url))
  const child = fork(program, [scratch, `${NODES}`, ...args])
  const [addresses] = (await once(child, 'message')) as [string[]]
  return { child, addresses }
}

async function bytesOf(child: ChildProcess): Promise<SocketBytes> {
  const answer = once(child, 'message')
  child.send('bytes')
  const [bytes] = (await answer) as [SocketBytes]
  return bytes
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.disconnect()
  await ended
}

function keyOf(name: string): Uint8Array {
  return createHash('sha256').update(name).digest()
}
