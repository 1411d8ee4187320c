import { mkdir, readdir, readFile, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { parseNarInfo } from '../../../src/nix/nar-info.ts'
import { buildNixClosure, nix } from '../../fixtures/nix-closure.ts'
import { LabNode } from './lab-node.ts'
import { type LabLan, makeLabLan } from './lan.ts'
import { serveDirectory } from './serve-directory.ts'
import { type LabOptions, meshed, scratchDirectory } from './world.ts'

const MIB = 2 ** 20

/** How many store paths the closure has; one of them is half of all bytes. */
const PATHS = 60

/** The port of the nodes' gateways, which Nix on the same machine asks. */
const GATEWAY_PORT = 8716

/** The cache's machine. */
export const CACHE = 0

/** A closure in an ordinary cache. */
export interface CachedClosure extends AsyncDisposable {
  /** The cache's directory. */
  readonly root: string
  /** The path that refers to all others. */
  readonly top: string
  /** SHA-256 of the NAR of each path, in hex. */
  readonly narSha256: ReadonlyMap<string, string>
  readonly publicKey: string
  /** The length of all files of the cache together: what one copy of it is. */
  readonly bytes: number
}

/** Builds a closure of {@link PATHS} paths, signs it, and has Nix write a cache of it. */
export async function cachedClosure(
  options: LabOptions,
  directory: string,
): Promise<CachedClosure> {
  await using stack = new AsyncDisposableStack()
  const bigFileBytes = (options.mib * MIB) / 2
  const partBytes = Math.floor(bigFileBytes / (PATHS - 1))
  const size = { paths: PATHS, bigFileBytes, smallFiles: 100, partBytes }
  const { top, sign } = stack.use(await buildNixClosure(directory, size))
  const { publicKey } = await sign('lab-cache-1')
  const root = join(directory, 'cache')
  await nix('nix', ['copy', '--to', `file://${root}?compression=zstd`, top])
  const owned = stack.move()
  const dispose = (): Promise<void> => owned.disposeAsync()
  const parts = { root, top, publicKey, bytes: await bytesBelow(root) }
  return { ...parts, narSha256: await narHashes(root), [Symbol.asyncDispose]: dispose }
}

/** A LAN with the cache on its first machine, served by nginx, and a node on each other one. */
export interface FleetWorld extends AsyncDisposable {
  readonly lan: LabLan
  readonly cacheUrl: string
  /** Where Nix finds the node of its own machine. */
  readonly gatewayUrl: string
  readonly nodes: readonly LabNode[]
}

/**
 * Opens a LAN of a cache and `options.nodes` machines, with nodes or without: nodes whose gateway
 * the lab asks by a socket, or Nix by a port.
 */
export async function openFleet(
  options: LabOptions,
  closure: CachedClosure,
  init: { readonly nodes: 'none' | 'by socket' | 'by port' },
): Promise<FleetWorld> {
  await using stack = new AsyncDisposableStack()
  const scratch = stack.use(await scratchDirectory()).path
  const lan = stack.use(await makeLabLan(options.nodes + 1, options.megabits))
  const root = closure.root
  const cacheUrl = await serveDirectory(
    lan,
    CACHE,
    { root: dirname(root), scratch },
    basename(root),
  )
  const flags = ['--upstream', cacheUrl, '--trusted-key', closure.publicKey]
  const start = async (machine: number, bootstrap: readonly string[]): Promise<LabNode> => {
    const directory = join(scratch, `${machine}`)
    await mkdir(directory)
    const place = lan.nodes[machine]!
    const gateway = init.nodes === 'by port' ? { gatewayPort: GATEWAY_PORT } : {}
    const args = [...flags, ...bootstrap]
    return stack.use(await LabNode.start({ place, directory, args, ...gateway }))
  }
  const nodes: LabNode[] = []
  if (init.nodes !== 'none') {
    const first = await start(1, [])
    const others = Array.from({ length: options.nodes - 1 }, (_, i) => i + 2)
    const starts = others.map((machine) => start(machine, ['--bootstrap', first.address]))
    await Promise.allSettled(starts) // so that none is still starting where another one failed
    nodes.push(first, ...(await Promise.all(starts)))
    await meshed(first, nodes.slice(1))
  }
  const owned = stack.move()
  const gatewayUrl = `http://127.0.0.1:${GATEWAY_PORT}`
  const parts = { lan, cacheUrl, gatewayUrl, nodes }
  return { ...parts, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

async function narHashes(root: string): Promise<Map<string, string>> {
  const names = (await readdir(root)).filter((it) => it.endsWith('.narinfo'))
  const infos = await Promise.all(
    names.map(async (name) => parseNarInfo(await readFile(join(root, name), 'utf8'))),
  )
  return new Map(infos.map((it) => [`${it.storePath}`, Buffer.from(it.narSha256).toString('hex')]))
}

async function bytesBelow(root: string): Promise<number> {
  const names = await readdir(root, { recursive: true })
  const lengths = names.map(async (name) => {
    const found = await stat(join(root, name))
    return found.isFile() ? found.size : 0
  })
  return (await Promise.all(lengths)).reduce((sum, bytes) => sum + bytes, 0)
}
