import { join } from 'node:path'
import { unhurriedCall } from '../../../../src/foundation/call.ts'
import { NIX_ENV } from '../../../fixtures/nix-closure.ts'
import {
  CACHE,
  type CachedClosure,
  cachedClosure,
  type FleetWorld,
  openFleet,
} from '../fleet-world.ts'
import { copies, type Report, type Scenario, setting, timed, verdict } from '../report.ts'
import { type LabOptions, scratchDirectory } from '../world.ts'

/** How the machines of a fleet come by the closure. */
interface Way {
  readonly name: string
  readonly nodes: 'none' | 'by socket' | 'by port'
  /** Has one machine get it, into its own store where Nix does it. @throws where it does not come */
  get(world: FleetWorld, machine: number, closure: CachedClosure, store: string): Promise<unknown>
}

const WAYS: readonly Way[] = [
  {
    name: 'cairn fetch on all',
    nodes: 'by socket',
    get: ({ nodes }, machine, { top }) => nodes[machine - 1]!.fetch(top, unhurriedCall()),
  },
  {
    name: 'Nix through its node on all',
    nodes: 'by port',
    get: (world, ...rest) => nixCopy(world, world.gatewayUrl, ...rest),
  },
  {
    name: 'Nix straight on all',
    nodes: 'none',
    get: (world, ...rest) => nixCopy(world, world.cacheUrl, ...rest),
  },
]

/** A fleet with nothing but an ordinary cache behind a thin link. */
export const fleet: Scenario = {
  what: 'a closure of 60 paths in an nginx cache; all nodes pull it, then Nix on all, then without nodes',
  run: async (options) => {
    await using scratch = await scratchDirectory()
    await using closure = await cachedClosure(options, scratch.path)
    const reports: Report[] = []
    for (const [i, way] of WAYS.entries()) {
      reports.push(await raced(options, closure, way, join(scratch.path, `way-${i}`)))
    }
    const lines = reports.map(({ line }) => line)
    const { nodes } = options
    return {
      line: [setting(nodes, closure, options), ...lines].join('\n              '),
      wrong: reports.flatMap(({ wrong }) => wrong),
    }
  },
}

async function raced(
  options: LabOptions,
  closure: CachedClosure,
  way: Way,
  directory: string,
): Promise<Report> {
  await using world = await openFleet(options, closure, way)
  const { lan, nodes } = world
  await lan.shape()
  const wrong: string[] = []
  const cpuSeconds = (): number => nodes.reduce((sum, node) => sum + node.cpuSeconds(), 0)
  const cpuBefore = cpuSeconds()
  const before = (await lan.traffic())[CACHE]!.sentBytes
  const start = performance.now()
  const machines = Array.from({ length: options.nodes }, (_, i) => i + 1)
  const gets = machines.map(async (machine) => {
    await way.get(world, machine, closure, join(directory, `${machine}`)).catch((error: Error) => {
      wrong.push(`${way.name}: machine ${machine} did not get it: ${error.message}`)
    })
  })
  await Promise.all(gets)
  const seconds = (performance.now() - start) / 1000
  const spentSeconds = cpuSeconds() - cpuBefore
  const sent = (await lan.traffic())[CACHE]!.sentBytes - before
  if (way.nodes === 'by socket') {
    for (const [path, expected] of closure.narSha256) {
      for (const [i, node] of nodes.entries()) {
        const sha256 = await node.narSha256(path).catch((error: Error) => error.message)
        if (sha256 !== expected) wrong.push(`node ${i + 1} gives other bytes of ${path}: ${sha256}`)
      }
    }
  }
  const cpu = nodes.length === 0 ? '' : `, ${spentSeconds.toFixed(1)} s of CPU`
  const figures = `${timed(seconds, closure, options)}, cache gave ${copies(sent, closure)}${cpu}`
  return { line: `${way.name}: ${figures}, ${verdict(wrong)}`, wrong }
}

/** Nix checks what it copies against the signed hashes. */
async function nixCopy(
  { lan }: FleetWorld,
  from: string,
  machine: number,
  { top, publicKey }: CachedClosure,
  store: string,
): Promise<void> {
  const env = { ...NIX_ENV, XDG_CACHE_HOME: `${store}-cache` }
  const trusted = ['--option', 'trusted-public-keys', publicKey]
  await lan.exec(machine, ['nix', 'copy', ...trusted, '--from', from, '--to', store, top], { env })
}
