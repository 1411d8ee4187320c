import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { connectNode } from '../../../src/daemon/client.ts'
import { JUST_MET_MS } from '../../../src/peers/patience.ts'
import type { BadNodeInit } from '../../e2e/lan/bad-guest.ts'
import { until } from '../../fixtures/await-peers.ts'
import { call } from '../../fixtures/content.ts'
import { freePorts, startDaemon } from '../../fixtures/daemon-process.ts'
import { MISSING_PATHS } from '../asked-paths.ts'
import type { Figure } from '../figure.ts'
import { median, program, RUNS } from '../measure.ts'
import { type BenchKey, importInto, startSource } from '../nodes.ts'

const BAD_NODE = fileURLToPath(new URL('../../e2e/lan/bad-node.ts', import.meta.url))

/** How many neighbours answer; one more does not. */
const NEIGHBOURS = 3

/** How many paths each of them has. */
const PATHS_EACH = 20

/** Of how many questions one is for a path that a neighbour has; all others nobody has. */
const HIT_EVERY = 20

/** A wrk script that asks for new paths, and now and then for one of a list. */
const ASK = `${MISSING_PATHS}
local held = { HELD }
local count = 0
wrong = 0
math.randomseed(os.time() + SEED)
request = function()
  count = count + 1
  if count % EVERY == 0 then
    return wrk.format("GET", "/" .. held[1 + (count / EVERY) % #held] .. ".narinfo")
  end
  return wrk.format("GET", missing())
end
response = function(status)
  if status ~= 200 and status ~= 404 then wrong = wrong + 1 end
end
local threads = {}
setup = function(thread) table.insert(threads, thread) end
done = function(summary, latency)
  io.write(string.format("answered %f a second, p99 %f ms, max %f ms, wrong %d\\n",
    summary.requests / summary.duration * 1e6, latency:percentile(99) / 1000, latency.max / 1000,
    threads[1]:get("wrong")))
end
`

/**
 * What a build asks for, mostly in vain, of a node with three neighbours, another one that takes
 * questions and never answers, one upstream that refuses connections and one that never answers.
 */
export async function loadFigures(scratch: string, key: BenchKey): Promise<Figure[]> {
  await using stack = new AsyncDisposableStack()
  const sources = []
  const held: string[] = []
  for (let i = 0; i < NEIGHBOURS; i++) {
    const source = stack.use(await startSource(key))
    sources.push(source)
    for (let path = 0; path < PATHS_EACH; path++) {
      const file = join(scratch, 'load-path')
      await writeFile(file, `path ${path} of neighbour ${i}`)
      held.push(await importInto(source, file, `load-${i}-${path}`))
    }
  }
  const [seed] = sources
  const hole = stack.use(await startHole(key, seed!.listen, held[0]!))
  const [refusing] = await freePorts(1)
  const silent = stack.use(await silentServer())
  const upstreams = [refusing, silent.port].flatMap((it) => [
    '--upstream',
    `http://127.0.0.1:${it}`,
  ])
  const peers = [...sources.map((it) => it.listen), hole.listen].flatMap((it) => [
    '--bootstrap',
    it,
  ])
  const args = ['--no-mdns', ...peers, ...upstreams, '--trusted-key', key.publicKey]
  const node = stack.use(await startDaemon({ args, env: { CAIRN_LOG: 'error' } }))
  using client = connectNode(node.rpc)
  await until(async () => (await client.peers(call)).length >= NEIGHBOURS + 1)
  await sleep(2 * JUST_MET_MS) // one that has just connected is waited for, whatever it is

  const runs: Load[] = []
  for (let run = 0; run < RUNS; run++) {
    runs.push(await loaded(node.gatewayUrl, held, { scratch, run }))
  }
  const p99 = median(runs.map((it) => it.p99Ms))
  const max = Math.max(...runs.map((it) => it.maxMs))
  const wrong = runs.reduce((sum, it) => sum + it.wrong, 0)
  return [
    {
      what: `narinfos, 19 of 20 missing: ${NEIGHBOURS} neighbours, a silent one, two dead upstreams`,
      value: `${median(runs.map((it) => it.rate)).toFixed(0)} a second`,
      baseline: `${wrong} answers but 200 and 404`,
      ratio: `p99 ${p99.toFixed(1)} ms, slowest of all runs ${max.toFixed(0)} ms`,
      aim: '≥ 2,000, p99 ≤ 50 ms, none over 250 ms, no 5xx',
    },
  ]
}

interface Load {
  readonly rate: number
  readonly p99Ms: number
  readonly maxMs: number
  readonly wrong: number
}

async function loaded(
  url: string,
  held: readonly string[],
  { scratch, run }: { readonly scratch: string; readonly run: number },
): Promise<Load> {
  const script = join(scratch, 'load.lua')
  const hashes = held.map((it) => `"${basename(it).slice(0, 32)}"`).join(', ')
  const filled = ASK.replace('HELD', hashes).replaceAll('EVERY', `${HIT_EVERY}`)
  await writeFile(script, filled.replace('SEED', `${1000 * run}`))
  const text = await program('wrk', ['-t1', '-c25', '-d5s', '-s', script, url])
  const words = /answered ([\d.]+) a second, p99 ([\d.]+) ms, max ([\d.]+) ms, wrong (\d+)/
  const [rate, p99Ms, maxMs, wrong] = (words.exec(text) ?? []).slice(1).map(Number)
  if (rate === undefined || /Socket errors/.test(text)) throw new Error(text)
  return { rate, p99Ms: p99Ms!, maxMs: maxMs!, wrong: wrong! }
}

/** A peer in a process of its own that says it has a path, takes questions and never answers. */
async function startHole(
  { publicKey }: BenchKey,
  seed: string,
  storePath: string,
): Promise<AsyncDisposable & { readonly listen: string }> {
  const [port] = await freePorts(1)
  const listen = `/ip4/127.0.0.1/tcp/${port}`
  const init: BadNodeInit = {
    ...{ kind: 'black hole', listen, bootstrap: [seed], publicKey, storePath, mdns: false },
  }
  const child = spawn(process.execPath, [BAD_NODE, JSON.stringify(init)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await ready(child)
  return {
    listen,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    },
  }
}

async function ready(child: ChildProcess): Promise<void> {
  for await (const line of createInterface({ input: child.stdout! })) {
    if ('ready' in JSON.parse(line)) return
  }
  throw new Error('the silent neighbour has ended')
}

/** Takes connections, and says nothing. */
async function silentServer(): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
