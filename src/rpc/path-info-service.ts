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
import { NarMeasures } from '../nar/nar-measures.ts'
import { STORE_PATH_HASH_BYTES } from '../nix/store-path.ts'
import type { PathInfo } from '../pathinfo/path-info.ts'
import { fromWireSigned, toWireSigned } from '../pathinfo/path-info-codec.ts'
import type { Substituter } from '../substitution/substituter.ts'
import { type CallHandlers, ownerOnly } from './call-handlers.ts'
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
  const { castore, pathInfos, substituter, log } = components
  const intake = new PathInfoIntake(components)
  const measures = new NarMeasures({ from: castore })
  return {
    Get: handlers.unary(GetPathInfoRequest, WirePathInfo, async ({ byWhat }, call) => {
      const hash = byWhat?.byOutputHash
      if (hash?.length !== STORE_PATH_HASH_BYTES) {
        const what = `a request names a store path by ${STORE_PATH_HASH_BYTES} bytes of hash part`
        throw rpcError('bad-request', what)
      }
      const found = await substituter.resolve(Uint8Array.from(hash), call)
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
      return await measures.measure(fromWireNode(message).node, call)
    }),
    List: handlers.download(ListPathInfoRequest, WirePathInfo, async (_request, send, call) => {
      ownerOnly(call) // nobody else learns what is held but by asking for it by name
      for await (const pathInfo of pathInfos.list(call)) await send(toWirePathInfo(pathInfo))
    }),
  }
}

function toWirePathInfo(pathInfo: PathInfo): WirePathInfo {
  return toWireSigned(pathInfo).pathInfo!
}
