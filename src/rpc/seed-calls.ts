import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import * as wire from '../generated/cairn/node/v1/node.ts'
import { StorePath } from '../nix/store-path.ts'
import type { PathInfo } from '../pathinfo/path-info.ts'
import type { PathInfoSource } from '../pathinfo/path-info-store.ts'
import type { ReadAccess } from '../pathinfo/read-access.ts'
import { type CallHandlers, ownerOnly } from './call-handlers.ts'
import { rpcError } from './rpc-error.ts'
import type { Upkeep } from './upkeep.ts'

/** How often it is looked who has what by now, in milliseconds. */
export const SEED_LOOK_MS = 1_000

/** How many paths one call may seed, what they refer to included. */
export const SEEDED_PATHS_MAX = 16_384

/** What a neighbour has of the paths that are seeded. */
export interface SeedHolder {
  readonly peer: string
  readonly pathsHeld: number
  /** Bytes a second, just now. */
  readonly sendRate: number
  readonly receiveRate: number
}

/** Who has paths that are seeded, at one time. */
export interface SeedReport {
  /** The paths and all that they refer to, and the length of their NARs. */
  readonly pathsTotal: number
  readonly bytesTotal: number
  /** Every neighbour, whether it has any of them or not. */
  readonly holders: readonly SeedHolder[]
}

/** The port to who has what; the daemon, which knows the peers, implements it. */
export interface SeedCensus {
  count(hashes: readonly Uint8Array[], call: Call): Promise<readonly SeedHolder[]>
}

/** What these calls work with. */
export interface SeedCallsComponents {
  readonly pathInfos: PathInfoSource
  readonly upkeep: Pick<Upkeep, 'pin'>
  readonly census: SeedCensus
  /** What others than the owner may read. */
  readonly others: Pick<ReadAccess, 'shares'>
  readonly clock: Clock
}

/** The call of the NodeService by which its owner sees paths spread. */
export function seedCalls(
  components: SeedCallsComponents,
  handlers: CallHandlers,
): UntypedServiceImplementation {
  const { upkeep, census, clock } = components
  return {
    Seed: handlers.download(wire.SeedRequest, wire.SeedEvent, async (request, send, call) => {
      ownerOnly(call)
      const paths = request.storePaths.map((it) => StorePath.parse(it))
      const closure = await sharedClosure(paths, components, call)
      await upkeep.pin(paths, call)
      const hashes = closure.map(({ storePath }) => storePath.hash)
      const bytesTotal = closure.reduce((sum, { narSize }) => sum + narSize, 0)
      for (;;) {
        const holders = await census.count(hashes, call)
        await send({
          pathsTotal: hashes.length,
          bytesTotal,
          holders: holders.map(({ peer, ...same }) => ({ peerId: peer, ...rounded(same) })),
        })
        await clock.sleep(SEED_LOOK_MS, call)
      }
    }),
  }
}

/** @throws RpcError where one of the paths is not here, or not for others */
async function sharedClosure(
  paths: readonly StorePath[],
  { pathInfos, others }: SeedCallsComponents,
  call: Call,
): Promise<PathInfo[]> {
  const waiting = [...paths]
  const closure = new Map<string, PathInfo>()
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (closure.has(path.hashText)) continue
    const pathInfo = await pathInfos.get(path.hash, call)
    if (pathInfo === undefined) {
      throw rpcError('not-found', `${path} is not held here; \`cairn fetch\` brings it`)
    }
    if (!others.shares(pathInfo)) {
      const how = '`cairn key sign` and `cairn share` change that'
      throw rpcError('bad-request', `${path} is not shared with other machines; ${how}`)
    }
    closure.set(path.hashText, pathInfo)
    if (closure.size > SEEDED_PATHS_MAX) {
      throw rpcError('too-much', `more than ${SEEDED_PATHS_MAX} paths at once`)
    }
    waiting.push(...pathInfo.references)
  }
  return [...closure.values()]
}

function rounded(holder: Omit<SeedHolder, 'peer'>): Omit<SeedHolder, 'peer'> {
  const { pathsHeld, sendRate, receiveRate } = holder
  return { pathsHeld, sendRate: Math.round(sendRate), receiveRate: Math.round(receiveRate) }
}
