import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { labMissing, makeLabLan } from '../../e2e/lan/lan.ts'
import { serveDirectory } from '../../e2e/lan/serve-directory.ts'
import { startDaemon } from '../../fixtures/daemon-process.ts'
import { buildNixClosure, type NixClosure, nix } from '../../fixtures/nix-closure.ts'
import type { Figure } from '../figure.ts'
import { median, RUNS } from '../measure.ts'
import { nixCopySeconds } from '../nix-copy.ts'

/** What is pulled: machine code, many small files, and a chain of tiny paths. */
const SIZE = {
  ...{ paths: 40, bigFileBytes: 32 * 1024 * 1024, smallFiles: 2_000 },
  bigFileOf: process.execPath,
}

/** The compressions that real caches have; to pack by xz takes Nix minutes. */
const COMPRESSIONS = (process.env.CAIRN_BENCH_PULL ?? 'zstd,xz').split(',')

/** The lines between the cache and the machine with Nix and the node, in Mbit/s; 0 is no limit. */
const LINES = [100, 0]

const [CACHE, MACHINE] = [0, 1]
const GATEWAY = '127.0.0.1:9000'

interface Times {
  readonly straight: number
  readonly cold: number
  readonly warm: number
}

/** Nix pulling a closure through a node, for the first time and again, beside Nix alone. */
export async function pullFigures(scratch: string): Promise<Figure[]> {
  const missing = labMissing()
  if (missing !== undefined) {
    console.error(`no figures of pulls: ${missing}`)
    return []
  }
  const figures: Figure[] = []
  for (const compression of COMPRESSIONS) {
    await using closures = await makeClosures(scratch, compression)
    for (const megabits of LINES) figures.push(...(await pulled(closures, megabits)))
  }
  return figures
}

interface Closures extends AsyncDisposable {
  readonly compression: string
  readonly directory: string
  /** The paths on top, each of a closure of its own: what was pulled is not cold any more. */
  readonly tops: readonly string[]
  readonly publicKeys: readonly string[]
}

async function makeClosures(scratch: string, compression: string): Promise<Closures> {
  await using stack = new AsyncDisposableStack()
  const directory = join(scratch, `pull-${compression}`)
  await mkdir(directory)
  stack.defer(() => rm(directory, { recursive: true }))
  const closures: NixClosure[] = []
  const publicKeys: string[] = []
  for (let i = 0; i < RUNS * LINES.length; i++) {
    const closure = stack.use(await buildNixClosure(directory, SIZE))
    closures.push(closure)
    publicKeys.push((await closure.sign(`pull-${i}`)).publicKey)
    const to = `file://${join(directory, 'cache')}?compression=${compression}`
    await nix('nix', ['copy', '--to', to, closure.top])
  }
  const owned = stack.move()
  const tops = closures.map(({ top }) => top)
  return {
    compression,
    directory,
    tops,
    publicKeys,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

async function pulled(closures: Closures, megabits: number): Promise<Figure[]> {
  const { compression, directory, publicKeys } = closures
  const first = LINES.indexOf(megabits) * RUNS
  const tops = closures.tops.slice(first, first + RUNS)
  await using lan = await makeLabLan(2, megabits)
  const scratch = await mkdtemp(join(directory, 'lan-'))
  const cacheUrl = await serveDirectory(lan, CACHE, { root: directory, scratch }, 'cache')
  const place = lan.nodes[MACHINE]!
  const trusted = publicKeys.flatMap((it) => ['--trusted-key', it])
  await using node = await startDaemon({
    namespace: place.namespace,
    args: ['--no-mdns', '--gateway', GATEWAY, '--upstream', cacheUrl, ...trusted],
    env: { CAIRN_LOG: 'warn' },
  })
  if (megabits > 0) await lan.limit(CACHE, megabits)
  const { namespace } = place
  const copy = (from: string, top: string) => nixCopySeconds({ namespace, from, top, publicKeys })
  const runs: Times[] = []
  for (const top of tops) {
    const straight = await copy(cacheUrl, top)
    const cold = await copy(node.gatewayUrl, top)
    runs.push({ straight, cold, warm: await copy(node.gatewayUrl, top) })
  }
  const line = megabits > 0 ? `a cache behind ${megabits} Mbit/s` : 'a cache on the same machine'
  const what = `of 40 paths, ${(SIZE.bigFileBytes / 1e6).toFixed(0)} MB, from ${line}, ${compression}`
  return [
    figureOf(`cold pull ${what}`, runs, 'cold', megabits > 0 ? '≤ 1.15 ×' : ''),
    figureOf(`warm pull ${what}`, runs, 'warm', megabits > 0 ? '≤ 0.5 ×' : ''),
  ]
}

function figureOf(what: string, runs: readonly Times[], of: 'cold' | 'warm', aim: string): Figure {
  const seconds = median(runs.map((it) => it[of]))
  const straight = median(runs.map((it) => it.straight))
  return {
    what,
    value: `${seconds.toFixed(2)} s`,
    baseline: `Nix straight ${straight.toFixed(2)} s`,
    ratio: `${(seconds / straight).toFixed(2)} ×`,
    aim,
  }
}
