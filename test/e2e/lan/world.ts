import { rmSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectNode, generateKey, importPath } from '../../../src/daemon/client.ts'
import { atExit } from '../../fixtures/at-exit.ts'
import { call } from '../../fixtures/content.ts'
import { temporaryDirectory } from '../../fixtures/temporary-directory.ts'
import type { Content } from './content.ts'
import { LabNode } from './lab-node.ts'
import { type LabLan, makeLabLan } from './lan.ts'

/** How long nodes may take until each is connected with the seed. */
const CONNECTED_MS = 60_000

/** How long they may take from then on to find each other, before they begin without. */
const MESHED_MS = 20_000

const POLL_MS = 100

/** More exit listeners than Node thinks healthy: one for each process that must not stay behind. */
const EXIT_LISTENERS_MAX = 100

/** What a run of the lab is about; all scenarios take their sizes from it. */
export interface LabOptions {
  /** Nodes in all, the seed among them. */
  readonly nodes: number
  /** The rate of each link, each way, in megabits (10^6 bits) a second. */
  readonly megabits: number
  /** How much content there is, in MiB. */
  readonly mib: number
  /** How often each thing is run; the median counts. */
  readonly runs: number
}

/** A LAN of nodes: the seed, whom nothing has to be brought, and those that fetch. */
export interface World extends AsyncDisposable {
  readonly lan: LabLan
  readonly seed: LabNode
  readonly fetchers: readonly LabNode[]
  /** Whom all nodes trust. */
  readonly publicKey: string
  /** A directory that goes with the world. */
  readonly scratch: string
}

/**
 * Starts `nodes` nodes that are connected with the seed, on links that are not shaped yet, in a
 * LAN that has room for `guests` more.
 */
export async function openWorld(
  options: Pick<LabOptions, 'nodes' | 'megabits'>,
  guests = 0,
): Promise<World> {
  process.setMaxListeners(EXIT_LISTENERS_MAX)
  await using stack = new AsyncDisposableStack()
  const scratch = stack.use(await scratchDirectory()).path
  const lan = stack.use(await makeLabLan(options.nodes + guests, options.megabits))
  const key = generateKey('lab-1')
  const keyFile = join(scratch, 'secret.key')
  await writeFile(keyFile, key.secret, { mode: 0o600 })
  const start = async (machine: number, args: readonly string[]): Promise<LabNode> => {
    const directory = join(scratch, `${machine}`)
    await mkdir(directory)
    const trust = ['--trusted-key', key.public]
    const place = lan.nodes[machine]!
    return stack.use(await LabNode.start({ place, directory, args: [...trust, ...args] }))
  }
  const seed = await start(0, ['--signing-key', keyFile])
  const others = Array.from({ length: options.nodes - 1 }, (_, i) => i + 1)
  const bootstrap = ['--bootstrap', seed.address]
  const starts = others.map((machine) => start(machine, bootstrap))
  await Promise.allSettled(starts) // so that none is still starting where another one failed
  const fetchers = await Promise.all(starts)
  const owned = stack.move()
  const dispose = (): Promise<void> => owned.disposeAsync()
  const parts = { lan, seed, fetchers, publicKey: key.public, scratch }
  const world = { ...parts, [Symbol.asyncDispose]: dispose }
  await meshed(seed, fetchers).catch(async (error) => {
    await dispose()
    throw error
  })
  return world
}

/** Has the seed take in content; says its store path. */
export async function plant(world: World, content: Content, name: string): Promise<string> {
  using client = connectNode(world.seed.rpc)
  return (await importPath(client, content.path, { name }, call)).storePath
}

/** Waits until nodes are all connected with one of them, and for a while until each is with all. */
export async function meshed(first: LabNode, others: readonly LabNode[]): Promise<void> {
  const { peerId } = await first.status()
  const connections = async (): Promise<string[][]> =>
    await Promise.all(others.map(async (it) => (await it.peers()).map(({ id }) => id)))
  const isSeeded = async () => (await connections()).every((ids) => ids.includes(peerId))
  if (!(await within(CONNECTED_MS, isSeeded))) throw new Error('not all nodes found the first')
  const isMeshed = async () => (await connections()).every((ids) => ids.length >= others.length)
  if (!(await within(MESHED_MS, isMeshed))) console.error('not all nodes have found each other')
}

/** A directory that goes on disposal, and where the lab is ended by a signal. */
export async function scratchDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const directory = await temporaryDirectory()
  const { path } = directory
  const removeAtExit = atExit(() => rmSync(path, { recursive: true, force: true }))
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      await directory[Symbol.asyncDispose]()
      removeAtExit[Symbol.dispose]()
    },
  }
}

/** Waits until a condition holds; says whether it did in time. */
export async function within(ms: number, condition: () => Promise<boolean>): Promise<boolean> {
  const start = performance.now()
  while (performance.now() - start < ms) {
    if (await condition()) return true
    await sleep(POLL_MS)
  }
  return false
}
