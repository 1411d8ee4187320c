import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import { join } from 'node:path'
import { connectNode } from '../../src/daemon/client.ts'
import { SecretKey } from '../../src/nix/key.ts'
import { until } from '../fixtures/await-peers.ts'
import { call } from '../fixtures/content.ts'
import { type DaemonProcess, startDaemon } from '../fixtures/daemon-process.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { type CacheActs, CacheLoad } from './cache-load.ts'
import { changingCache } from './changing-cache.ts'
import { HonestLoad, type Stretch } from './honest-load.ts'
import type { Crew, Order, Victims } from './hostile.ts'

/** Memory of a node at one time, in bytes. */
export interface MemorySample {
  readonly seconds: number
  /** All that is resident. */
  readonly bytes: number
  /** What of it are pages of files, Level's tables above all: the system may take them back. */
  readonly fileBytes: number
  /** Files and connections that are open, but for segments of the store. */
  readonly openFiles: number
}

/** What a soak found. */
export interface SoakReport {
  readonly calm: readonly Stretch[]
  readonly hostile: readonly Stretch[]
  /** What the hostile did, and how often. */
  readonly acts: Readonly<Record<string, number>>
  readonly memory: Readonly<Record<'seed' | 'client', readonly MemorySample[]>>
  /** What clients of a cache behind the node did meanwhile, stretch by stretch. */
  readonly caching: readonly CacheActs[]
}

/** How many more files and connections a node may have open at the end than at the begin. */
const OPEN_GROWTH_MAX = 30

/**
 * Two honest nodes work, by turns in peace and beside a process full of bad peers and bad clients;
 * one of them has a cache whose paths come and go, too. Every byte is compared. @throws where one is wrong, or an honest request fails in peace
 */
export async function soak(
  init: {
    stretches: number
    stretchMs: number
    crews: readonly Crew[]
    peerLifeMs: number
    /** Of the hostile; the lowest where it is left out, so that what they compute costs nobody. */
    hostilePriority?: number
  },
  tell: (words: string) => void = () => undefined,
): Promise<SoakReport> {
  await using stack = new AsyncDisposableStack()
  const { path } = stack.use(await temporaryDirectory())
  const key = SecretKey.generate('soak-1')
  const keyFile = join(path, 'key')
  writeFileSync(keyFile, key.toString(), { mode: 0o600 })
  const quiet = ['--no-mdns', '--log', 'warn,gateway=silent,substitution=silent,peers=silent']
  const seed = stack.use(await startDaemon({ args: [...quiet, '--signing-key', keyFile] }))
  const trust = ['--trusted-key', key.publicKey().toString()]
  const cache = stack.use(await changingCache(key))
  const args = [...quiet, ...trust, '--bootstrap', seed.listen, '--upstream', cache.url]
  const client = stack.use(await startDaemon({ args }))
  const victims = await victimsOf(seed, client)
  const hostile = fork(join(import.meta.dirname, 'hostile.ts'), { stdio: 'inherit' })
  // The hostile would have machines of their own: what they compute is not to slow down the honest.
  setPriority(hostile.pid!, init.hostilePriority ?? constants.priority.PRIORITY_LOW)
  stack.defer(() => void hostile.kill('SIGKILL'))
  hostile.once('exit', (code) => {
    if (code !== null && code !== 0) tell(`the hostile process ended with ${code}`)
  })

  const memory = watchMemory({ seed: seed.pid, client: client.pid })
  stack.defer(memory.stop)
  const load = new HonestLoad({ from: seed, to: client })
  const caching: CacheActs[] = []
  const cacheLoad = new CacheLoad({ node: client, cache })
  const run = async (ms: number): Promise<Stretch> => {
    const [stretch, acts] = await Promise.all([load.run(ms), cacheLoad.run(ms)])
    caching.push(acts)
    return stretch
  }
  await run(Math.min(init.stretchMs, 3_000)) // until the nodes are warm
  const openAtFirst = openFilesOf(client.pid)
  const calm: Stretch[] = []
  const beset: Stretch[] = []
  const acts: Record<string, number> = {}
  for (let i = 0; i < init.stretches; i++) {
    calm.push(await run(init.stretchMs))
    tell(`calm     ${shown(calm.at(-1)!)}, ${memory.latest()}`)
    order(hostile, { do: 'begin', victims, crews: init.crews, peerLifeMs: init.peerLifeMs })
    beset.push(await run(init.stretchMs))
    const done = once(hostile, 'message') as Promise<[{ acts: Record<string, number> }]>
    order(hostile, { do: 'rest' })
    const [message] = await done
    for (const [what, times] of Object.entries(message.acts)) acts[what] = (acts[what] ?? 0) + times
    tell(`hostile  ${shown(beset.at(-1)!)}, ${memory.latest()}`)
  }
  // Nothing is kept of what clients left: no spool, and no connection.
  await until(() => readdirSync(join(client.state, 'arriving')).length === 0)
  await until(() => openFilesOf(client.pid) <= openAtFirst + OPEN_GROWTH_MAX)
  return { calm, hostile: beset, acts, memory: memory.samples, caching }
}

async function victimsOf(...nodes: DaemonProcess[]): Promise<Victims> {
  const ids: string[] = []
  for (const { rpc } of nodes) {
    using client = connectNode(rpc)
    await until(async () => (await client.peers(call)).length > 0)
    ids.push((await client.status(call)).peerId)
  }
  return {
    gateways: nodes.map(({ gatewayUrl }) => gatewayUrl),
    rpcs: nodes.map(({ rpc }) => rpc),
    peers: nodes.map(({ listen }, i) => ({ id: ids[i]!, address: `${listen}/p2p/${ids[i]}` })),
    honest: ids[0]!,
  }
}

function order(hostile: ChildProcess, it: Order): void {
  hostile.send(it)
}

function watchMemory(pids: Readonly<Record<'seed' | 'client', number>>) {
  const begun = performance.now()
  const samples = { seed: [] as MemorySample[], client: [] as MemorySample[] }
  const timer = setInterval(() => {
    const seconds = (performance.now() - begun) / 1000
    for (const name of ['seed', 'client'] as const) {
      samples[name].push({ seconds, ...residentOf(pids[name]) })
    }
  }, 1_000)
  const latest = (): string => {
    const of = (name: 'seed' | 'client') => Math.round((samples[name].at(-1)?.bytes ?? 0) / 1e6)
    return `${of('seed')} and ${of('client')} MB resident`
  }
  return { samples, latest, stop: () => clearInterval(timer) }
}

/** By proc(5). */
function residentOf(pid: number): Omit<MemorySample, 'seconds'> {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const of = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024
  return { bytes: of('VmRSS'), fileBytes: of('RssFile'), openFiles: openFilesOf(pid) }
}

/** Files and connections that a process has open; segments aside, which stay open as they are made. */
function openFilesOf(pid: number): number {
  const directory = `/proc/${pid}/fd`
  return readdirSync(directory).filter((fd) => !nameOf(join(directory, fd)).endsWith('.seg')).length
}

function nameOf(fd: string): string {
  try {
    return readlinkSync(fd)
  } catch {
    return '' // closed meanwhile
  }
}

/** A stretch in words. */
export function shown({ seconds, paths, bytes, failures, slowestMs, cpuSeconds }: Stretch): string {
  const rate = `${(paths / seconds).toFixed(1)} paths/s, ${(bytes / seconds / 1e6).toFixed(1)} MB/s`
  const cpu = `${((1000 * cpuSeconds) / paths).toFixed(1)} ms CPU a path`
  return `${rate}, ${cpu}, ${failures.length} failed, slowest ${Math.round(slowestMs)} ms`
}
