import type { ReadableCastore } from '../../castore/castore.ts'
import type { Call } from '../../foundation/call.ts'
import type { Digest } from '../../foundation/digest.ts'
import type { Availability } from '../swarm/availability.ts'
import type { Origins } from '../swarm/origins.ts'
import type { Swarm } from '../swarm/swarm.ts'
import type { Answer, Want } from './want.ts'

/** How many swarms one channel may watch at once. */
export const WATCHES_MAX = 64

/** What is being fetched here, for those who fetch the same. */
export interface SwarmSource {
  of(root: Digest): Pick<Swarm, 'watch' | 'isComplete'> | undefined
  readonly origins: Pick<Origins, 'watch'>
}

/** What it works with. */
export interface SwarmServingComponents {
  readonly swarms: SwarmSource
  /** What others may read. */
  readonly shared: ReadableCastore
}

/** Tells a peer what is here of a root that it is fetching, and goes on telling it what is new. */
export async function serveSwarm(
  want: Extract<Want, { type: 'swarm' }>,
  peer: string,
  { swarms, shared }: SwarmServingComponents,
  send: (answer: Answer) => Promise<void>,
  call: Call,
): Promise<void> {
  let isKnown = false
  for await (const availability of await said(want, peer, { swarms, shared }, call)) {
    isKnown = true
    await send({ type: 'availability', availability })
  }
  if (!isKnown) await send({ type: 'absent', indices: [0] })
}

async function said(
  { root, pieces }: Extract<Want, { type: 'swarm' }>,
  peer: string,
  { swarms, shared }: SwarmServingComponents,
  call: Call,
): Promise<AsyncIterable<Availability> | readonly Availability[]> {
  const swarm = swarms.of(root)
  if (swarm !== undefined && !swarm.isComplete) return swarm.watch(peer, pieces, call)
  return (await holds(shared, root, call)) ? swarms.origins.watch(peer, root, call) : []
}

async function holds(shared: ReadableCastore, root: Digest, call: Call): Promise<boolean> {
  if ((await shared.directories.get(root, call)) !== undefined) return true
  const [layout] = await shared.blobs.layouts([root], call)
  return layout !== undefined
}
