import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { World } from './world.ts'

const ENTRY = fileURLToPath(new URL('bad-node.ts', import.meta.url))

const PEER_PORT = 9001

/** Serves wrong chunks; or says that it has the path, takes requests, and never answers. */
export type BadNodeKind = 'liar' | 'black hole'

/** What a bad node is told, as JSON in its first argument. */
export interface BadNodeInit {
  readonly kind: BadNodeKind
  /** Multiaddress. */
  readonly listen: string
  /** Multiaddresses of whom it is to be connected with. */
  readonly bootstrap: readonly string[]
  readonly publicKey: string
  /** Whether it looks for neighbours by mDNS; it does by default. */
  readonly mdns?: boolean
  /** What it claims to have, and has. */
  readonly storePath: string
}

/** A bad node that runs on a machine of the lab; it goes with the LAN. */
export interface BadGuest {
  readonly kind: BadNodeKind
  readonly id: string
  /** Ids of the peers that it gave wrong answers to, or none. */
  readonly harmed: ReadonlySet<string>
}

/** Has a bad node run on a machine; resolves once it holds the path and has turned bad. */
export async function invite(
  world: World,
  machine: number,
  kind: BadNodeKind,
  storePath: string,
): Promise<BadGuest> {
  const { lan, seed, fetchers, publicKey } = world
  const init: BadNodeInit = {
    kind,
    listen: `/ip4/${lan.nodes[machine]!.address}/tcp/${PEER_PORT}`,
    bootstrap: [seed, ...fetchers].map(({ address }) => address),
    publicKey,
    storePath,
  }
  const argv = [process.execPath, ENTRY, JSON.stringify(init)]
  const child = lan.spawn(machine, argv, { stdio: ['ignore', 'pipe', 'inherit'] })
  const harmed = new Set<string>()
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  child.once('close', () => reject(new Error(`the ${kind} has ended`)))
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const said = JSON.parse(line)
    if (said.ready !== undefined) resolve(said.ready)
    if (said.harmed !== undefined) harmed.add(said.harmed)
  })
  return { kind, id: await promise, harmed }
}
