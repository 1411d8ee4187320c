import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import type { Random } from '../foundation/random.ts'
import * as wire from '../generated/cairn/node/v1/node.ts'
import { LIMITS } from '../generated/limits.ts'
import { fixedStorePath } from '../nix/fixed-store-path.ts'
import { renderNixHash } from '../nix/nix-hash.ts'
import { parseSignature } from '../nix/signature.ts'
import { StorePath } from '../nix/store-path.ts'
import { toWireSigned } from '../pathinfo/path-info-codec.ts'
import type { PathInfoStore } from '../pathinfo/path-info-store.ts'
import type { UploadedNarStore } from '../pathinfo/uploaded-nar-store.ts'
import { ClosureFetch, type PathOutcome } from '../substitution/closure-fetch.ts'
import type { OwnerIntake } from '../substitution/owner-intake.ts'
import type { PathContents } from '../substitution/path-contents.ts'
import type { Substituter } from '../substitution/substituter.ts'
import { type CallHandlers, ownerOnly, type RpcCall } from './call-handlers.ts'
import { toWireEvent, toWirePeer, toWireSource, toWireStatus } from './node-messages.ts'
import type { NodeView } from './node-view.ts'
import { pathCalls } from './path-calls.ts'
import { rpcError } from './rpc-error.ts'
import { type ShareCallsComponents, shareCalls } from './share-calls.ts'
import { whileTelling } from './telling.ts'

/** What the service works with. */
export interface NodeServiceComponents extends ShareCallsComponents {
  readonly view: NodeView
  readonly pathInfos: PathInfoStore
  readonly uploads: UploadedNarStore
  readonly intake: OwnerIntake
  readonly paths: PathContents
  readonly substituter: Substituter
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** `cairn.node.v1.NodeService`: what the command line asks of the node, for the owner alone. */
export function nodeService(
  components: NodeServiceComponents,
  handlers: CallHandlers,
): UntypedServiceImplementation {
  const { view } = components
  const owned = <Q, A>(answer: (request: Q, call: Call) => Promise<A>) => {
    return async (request: Q, call: RpcCall): Promise<A> => {
      ownerOnly(call)
      return await answer(request, call)
    }
  }
  return {
    Import: handlers.unary(
      wire.ImportRequest,
      wire.ImportResponse,
      owned((request, call) => importNar(components, request, call)),
    ),
    Fetch: handlers.download(wire.FetchRequest, wire.FetchEvent, async (request, send, call) => {
      ownerOnly(call)
      await fetchPaths(components, request, send, call)
    }),
    ...pathCalls(components, handlers),
    ...shareCalls(components, handlers),
    Status: handlers.unary(
      wire.StatusRequest,
      wire.StatusResponse,
      owned(async (_request, call) => toWireStatus(await view.status(call))),
    ),
    Sources: handlers.unary(
      wire.SourcesRequest,
      wire.SourcesResponse,
      owned(async () => ({ sources: view.sources().map(toWireSource) })),
    ),
    Peers: handlers.unary(
      wire.PeersRequest,
      wire.PeersResponse,
      owned(async () => ({ peers: view.peers().map(toWirePeer) })),
    ),
    Pardon: handlers.unary(
      wire.PardonRequest,
      wire.PardonResponse,
      owned(async ({ peerIds }) => ({ pardoned: [...view.pardon(peerIds)] })),
    ),
    Keys: handlers.unary(
      wire.KeysRequest,
      wire.KeysResponse,
      owned(async (_request, call) => {
        const { trustedKeys, signingKey } = await view.status(call)
        return { trusted: [...trustedKeys], signing: signingKey ?? '' }
      }),
    ),
    Describe: handlers.unary(
      wire.DescribeRequest,
      wire.DescribeResponse,
      owned((request, call) => describe(components, request, call)),
    ),
    Limits: handlers.unary(
      wire.LimitsRequest,
      wire.LimitsResponse,
      owned(async () => ({ limits: [...LIMITS] })),
    ),
    AddSignatures: handlers.unary(
      wire.AddSignaturesRequest,
      wire.AddSignaturesResponse,
      owned((request, call) => addSignatures(components, request, call)),
    ),
  }
}

async function describe(
  { pathInfos }: NodeServiceComponents,
  { storePath }: wire.DescribeRequest,
  call: Call,
): Promise<wire.DescribeResponse> {
  const pathInfo = await pathInfos.get(StorePath.parse(storePath).hash, call)
  return { pathInfo: pathInfo === undefined ? undefined : toWireSigned(pathInfo) }
}

async function addSignatures(
  { pathInfos, intake }: NodeServiceComponents,
  { storePath, signatures, rootSignatures }: wire.AddSignaturesRequest,
  call: Call,
): Promise<wire.AddSignaturesResponse> {
  const pathInfo = await pathInfos.get(StorePath.parse(storePath).hash, call)
  if (pathInfo === undefined) throw rpcError('not-found', `${storePath} is not held here`)
  const added = { nix: signatures.map(parseSignature), root: rootSignatures.map(parseSignature) }
  await intake.addSignatures(pathInfo, added, call)
  return {}
}

async function importNar(
  { uploads, intake, substituter, log }: NodeServiceComponents,
  request: wire.ImportRequest,
  call: Call,
): Promise<wire.ImportResponse> {
  const { name, narSha256 } = request
  const uploaded = await uploads.get(narSha256, call)
  if (uploaded === undefined) throw rpcError('not-found', 'no NAR with that hash has been uploaded')
  const { node, narSize } = uploaded
  const storePath = fixedStorePath(narSha256, name)
  const ca = `fixed:r:${renderNixHash({ algorithm: 'sha256', bytes: narSha256 })}`
  const fields = { storePath, node, narSize, narSha256, ca, references: [] }
  const { shared } = await intake.take(fields, call)
  substituter.forgetMisses()
  log.info('path imported', { storePath, narSize, shared })
  return { storePath: storePath.toString(), narSize, shared }
}

async function fetchPaths(
  { substituter, clock, random }: NodeServiceComponents,
  { storePaths, closure }: wire.FetchRequest,
  send: (event: wire.FetchEvent) => Promise<void>,
  call: Call,
): Promise<void> {
  const fetch = new ClosureFetch({ substituter, clock, random }, { closure })
  const tell = (): Promise<void> => send(toWireEvent(fetch.progress))
  await whileTelling(clock, tell, async () => {
    const paths = storePaths.map((it) => StorePath.parse(it))
    const onOutcome = (outcome: PathOutcome): void => {
      send(toWireEvent(fetch.progress, outcome)).catch(() => undefined) // the client has left
    }
    await fetch.run(paths, onOutcome, call)
  })
}
