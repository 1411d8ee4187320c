import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import * as wire from '../generated/cairn/node/v1/node.ts'
import { StorePath } from '../nix/store-path.ts'
import { type CallHandlers, ownerOnly } from './call-handlers.ts'
import { rpcError } from './rpc-error.ts'
import type { AdoptSelection, CleanUpReport, PinnedPath, Upkeep, VerifyReport } from './upkeep.ts'

/** How often a verification tells how it goes, in milliseconds. */
const PROGRESS_MS = 200

/** What these calls work with. */
export interface UpkeepCallsComponents {
  readonly upkeep: Upkeep
  readonly clock: Clock
  readonly log: Log
}

/** The calls of the NodeService by which its owner keeps the store in order. */
export function upkeepCalls(
  { upkeep, clock, log }: UpkeepCallsComponents,
  handlers: CallHandlers,
): UntypedServiceImplementation {
  return {
    Pin: handlers.unary(wire.PinRequest, wire.PinResponse, async ({ storePaths, pinned }, call) => {
      ownerOnly(call)
      const paths = storePaths.map((it) => StorePath.parse(it))
      if (pinned) await upkeep.pin(paths, call)
      else await upkeep.unpin(paths, call)
      for (const storePath of paths) log.info('owner decided', { storePath, pinned })
      return {}
    }),
    Pins: handlers.unary(wire.PinsRequest, wire.PinsResponse, async (_request, call) => {
      ownerOnly(call)
      const pins: PinnedPath[] = []
      for await (const pin of upkeep.pins(call)) pins.push(pin)
      return { pins }
    }),
    CleanUp: handlers.unary(
      wire.CleanUpRequest,
      wire.CleanUpResponse,
      async ({ dryRun, now, maxBytes }, call) => {
        ownerOnly(call)
        const init = { isDryRun: dryRun, isNow: now, maxBytes }
        return toWireCleanUp(await upkeep.cleanUp(init, call))
      },
    ),
    Adopt: handlers.download(wire.AdoptRequest, wire.AdoptEvent, async (request, send, call) => {
      ownerOnly(call)
      const { sign } = request
      for await (const { path, ...progress } of upkeep.adopt(selected(request), { sign }, call)) {
        await send({ ...progress, path: path && { ...path, error: path.error ?? '' } })
      }
    }),
    Verify: handlers.download(wire.VerifyRequest, wire.VerifyEvent, async (request, send, call) => {
      ownerOnly(call)
      let toldMs = 0
      let last: VerifyReport | undefined
      for await (const report of upkeep.verify({ isRepair: request.repair }, call)) {
        if (last !== undefined && last.phase !== report.phase) await send(toWireVerify(last))
        last = report
        const nowMs = clock.now()
        if (report.fault === undefined && nowMs - toldMs < PROGRESS_MS) continue
        toldMs = nowMs
        last = undefined
        await send(toWireVerify(report))
      }
      if (last !== undefined) await send(toWireVerify(last))
    }),
  }
}

/** @throws RpcError where it says nothing, or two things */
function selected({ storePaths, all, signed }: wire.AdoptRequest): AdoptSelection {
  if (Number(storePaths.length > 0) + Number(all) + Number(signed) !== 1) {
    throw rpcError('bad-request', 'adopt paths by name, or all, or those that are signed')
  }
  if (all || signed) return { which: all ? 'all' : 'signed' }
  return storePaths.map((it) => StorePath.parse(it))
}

function toWireCleanUp({ paths, ...counts }: CleanUpReport): wire.CleanUpResponse {
  return { ...counts, paths: [...paths] }
}

function toWireVerify({ fault, ...progress }: VerifyReport): wire.VerifyEvent {
  if (fault === undefined) return { ...progress, fault: undefined }
  const { phase, what, isMended } = fault
  return { ...progress, fault: { phase, what, mended: isMended } }
}
