import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { connectNode } from '../../../src/daemon/client.ts'
import { until } from '../../fixtures/await-peers.ts'
import { beset } from '../../fixtures/beset.ts'
import { call } from '../../fixtures/content.ts'
import { startDaemon } from '../../fixtures/daemon-process.ts'
import { buildNixClosure } from '../../fixtures/nix-closure.ts'
import { nixCache } from '../../fixtures/shared-out-caches.ts'
import type { Figure } from '../figure.ts'
import { median, RUNS } from '../measure.ts'
import { startNginx } from '../nginx.ts'
import { nixCopySeconds } from '../nix-copy.ts'
import { thinLine } from '../thin-line.ts'

/** Length of the largest of the closure's files, in bytes. */
const BYTES = Number(process.env.CAIRN_BENCH_HOSTILE_BYTES ?? 100e6)

const PATHS = 60

/** What the line to the cache carries in a second, in bytes: 100 Mbit/s. */
const LINE_BYTES = 12.5e6

/** What Nix copies, and from where. */
interface Copying {
  readonly top: string
  /** The directory of a cache with the closure, which is not compressed, and where it is served. */
  readonly cache: string
  readonly url: string
  readonly publicKey: string
}

/** Nix copying a closure of one honest cache: straight, through a node, and among bad neighbours. */
export async function hostileFigures(scratch: string): Promise<Figure[]> {
  const directory = join(scratch, 'hostile')
  await mkdir(directory, { recursive: true })
  const size = { paths: PATHS, bigFileBytes: BYTES, smallFiles: 2_000 }
  await using closure = await buildNixClosure(directory, size)
  const { publicKey } = await closure.sign('hostile-1')
  const cache = await nixCache(join(directory, 'cache'), closure.top, 'none')
  await using nginx = await startNginx(cache, scratch)
  await using line = await thinLine(nginx.url, LINE_BYTES)
  const copying = { top: closure.top, cache, url: line.url, publicKey }
  const times: [number[], number[], number[]] = [[], [], []]
  for (let run = 0; run < RUNS; run++) {
    times[0].push(await nixSeconds(copying, copying.url))
    times[1].push(await throughNode(copying, false))
    times[2].push(await throughNode(copying, true))
  }
  const [straight, alone, among] = times.map(median) as [number, number, number]
  const much = `${PATHS} paths, one of ${(BYTES / 1e6).toFixed(0)} MB`
  const what = `nix copy of ${much}, of a cache behind 100 Mbit/s, by a node`
  return [
    figure(`${what} without neighbours`, alone, straight),
    figure('the same, every neighbour hostile', among, straight),
  ]
}

function figure(what: string, seconds: number, straight: number): Figure {
  return {
    what,
    value: `${seconds.toFixed(2)} s`,
    baseline: `Nix straight ${straight.toFixed(2)} s`,
    ratio: `${(seconds / straight).toFixed(2)} ×`,
    aim: '≤ 1.1 ×',
  }
}

/** By a node that is new, so that it has nothing, and knows nobody. */
async function throughNode(copying: Copying, isBeset: boolean): Promise<number> {
  const { url, publicKey } = copying
  const args = ['--no-mdns', '--upstream', url, '--trusted-key', publicKey]
  await using node = await startDaemon({ args, env: { CAIRN_LOG: 'warn' } })
  using client = connectNode(node.rpc)
  await until(async () => (await client.sources(call)).at(-1)!.state === 'ready')
  if (!isBeset) return await nixSeconds(copying, node.gatewayUrl)
  await using _neighbours = await beset(node, copying)
  return await nixSeconds(copying, node.gatewayUrl)
}

async function nixSeconds({ top, publicKey }: Copying, from: string): Promise<number> {
  return await nixCopySeconds({ from, top, publicKeys: [publicKey] })
}
