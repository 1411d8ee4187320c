import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import { fromWireNode } from '../castore/model/directory-codec.ts'
import type { Log } from '../foundation/log.ts'
import { Node as WireNode } from '../generated/tvix/castore/v1/castore.ts'
import { PathInfo as WirePathInfo } from '../generated/tvix/store/v1/pathinfo.ts'
import {
  CalculateNARResponse,
  GetPathInfoRequest,
  ListPathInfoRequest,
} from '../generated/tvix/store/v1/rpc_pathinfo.ts'
import { measureNar } from '../nar/measure-nar.ts'
import { NarMeasures } from '../nar/nar-measures.ts'
import { STORE_PATH_HASH_BYTES } from '../nix/store-path.ts'
import type { PathInfo } from '../pathinfo/path-info.ts'
import { fromWireSigned, toWireSigned } from '../pathinfo/path-info-codec.ts'
import { reachesRoot } from '../pathinfo/read-access.ts'
import type { Substituter } from '../substitution/substituter.ts'
import { type CallHandlers, ownerOnly, type RpcCall } from './call-handlers.ts'
import { PathInfoIntake, type PathInfoIntakeComponents } from './path-info-intake.ts'
import { rpcError } from './rpc-error.ts'

/** What the service works with. */
export interface PathInfoServiceComponents extends PathInfoIntakeComponents {
  readonly substituter: Substituter
  readonly log: Log
}

/** `PathInfoService` of tvix.store.v1 and snix.store.v1. */
export function pathInfoService(
  components: PathInfoServiceComponents,
  handlers: CallHandlers,
): UntypedServiceImplementation {
  const { castore, pathInfos, substituter, readers, log } = components
  const intake = new PathInfoIntake(components)
  const measures = new NarMeasures({ from: castore })
  return {
    Get: handlers.unary(GetPathInfoRequest, WirePathInfo, async ({ byWhat }, call) => {
      const hash = byWhat?.byOutputHash
      if (hash?.length !== STORE_PATH_HASH_BYTES) {
        const what = `a request names a store path by ${STORE_PATH_HASH_BYTES} bytes of hash part`
        throw rpcError('bad-request', what)
      }
      const found = await foundFor(Uint8Array.from(hash), components, call)
      if (found === undefined) throw rpcError('not-found', 'nobody who is reached has that path')
      return toWirePathInfo(found)
    }),
    Put: handlers.unary(WirePathInfo, WirePathInfo, async (message, call) => {
      const given = fromWireSigned({ pathInfo: message, rootSignatures: [] })
      const pathInfo = await intake.put(given, call.isOwner, call)
      substituter.forgetMisses()
      const { storePath, narSize } = pathInfo
      log.info('path put', { storePath, narSize, byOwner: call.isOwner })
      return toWirePathInfo(pathInfo)
    }),
    CalculateNAR: handlers.unary(WireNode, CalculateNARResponse, async (message, call) => {
      const { node } = fromWireNode(message)
      // Not by what is remembered: that would tell who may not read it what its NAR is.
      const mayRead = reachesRoot(readers.accessFor(call), node)
      if (!mayRead) return await measureNar(node, readers.castoreFor(call), call)
      return await measures.measure(node, call)
    }),
    List: handlers.download(ListPathInfoRequest, WirePathInfo, async (_request, send, call) => {
      ownerOnly(call) // nobody else learns what is held but by asking for it by name
      for await (const pathInfo of pathInfos.list(call)) await send(toWirePathInfo(pathInfo))
    }),
  }
}

/**
 * What may be told of a path. Others than the owner go on to read its content by digest, and may do
 * so only once it is here: so it is brought here for them, where it is one that is shared.
 */
async function foundFor(
  hash: Uint8Array,
  { substituter, readers }: PathInfoServiceComponents,
  call: RpcCall,
): Promise<PathInfo | undefined> {
  if (call.isOwner) return await substituter.resolve(hash, call)
  const access = readers.accessFor(call)
  const described = await substituter.describe(hash, call)
  if (described === undefined || !access.shares(described)) return undefined
  const held = await substituter.obtain(hash, call)
  return held !== undefined && (await access.tells(held, call)) ? held : undefined
}

function toWirePathInfo(pathInfo: PathInfo): WirePathInfo {
  return toWireSigned(pathInfo).pathInfo!
}
