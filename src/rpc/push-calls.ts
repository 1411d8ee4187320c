import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Random } from '../foundation/random.ts'
import * as wire from '../generated/cairn/node/v1/node.ts'
import { StorePath } from '../nix/store-path.ts'
import type { PathInfoSource } from '../pathinfo/path-info-store.ts'
import { ClosurePush, type PushOutcome, type PushProgress } from '../substitution/closure-push.ts'
import type { PushTarget } from '../substitution/push-target.ts'
import { type CallHandlers, ownerOnly } from './call-handlers.ts'
import { fromWireOutcome, toWireOutcome } from './node-messages.ts'
import { whileTelling } from './telling.ts'

/** A target that is open; disposing of it gives its connections up. */
export type OpenPushTarget = PushTarget & AsyncDisposable

/** The port to where paths are pushed; the daemon implements it, which knows all kinds of it. */
export interface PushTargets {
  /** Opens a cache or store by its URL. @throws RpcError 'bad-request' where it is none */
  open(url: string, init: { readonly compression: string }): Promise<OpenPushTarget>
}

/** How far a push has got, and, where one has just come to its end, what became of a path. */
export interface PushReport extends PushProgress {
  readonly outcome?: {
    readonly storePath: string
    /** It was there before. */
    readonly held: boolean
    /** Why it is not there now; undefined where it is. */
    readonly error: string | undefined
  }
}

/** What these calls work with. */
export interface PushCallsComponents {
  readonly pathInfos: PathInfoSource
  readonly targets: PushTargets
  readonly clock: Clock
  readonly random: Random
}

/** The call of the NodeService by which its owner copies paths to a cache. */
export function pushCalls(
  { pathInfos, targets, clock, random }: PushCallsComponents,
  handlers: CallHandlers,
): UntypedServiceImplementation {
  return {
    Push: handlers.download(wire.PushRequest, wire.PushEvent, async (request, send, call) => {
      ownerOnly(call)
      const storePaths = request.storePaths.map((it) => StorePath.parse(it))
      await using target = await targets.open(request.to, request)
      const push = new ClosurePush({ pathInfos, target, clock, random })
      await pushAll(push, storePaths, send, clock, call)
    }),
  }
}

async function pushAll(
  push: ClosurePush,
  storePaths: readonly StorePath[],
  send: (event: wire.PushEvent) => Promise<void>,
  clock: Clock,
  call: Call,
): Promise<void> {
  const tell = (): Promise<void> => send({ ...push.progress, outcome: undefined })
  const onOutcome = (outcome: PushOutcome): void => {
    send({ ...push.progress, outcome: toWireOutcome(outcome) }).catch(() => undefined) // has left
  }
  await whileTelling(clock, tell, () => push.run(storePaths, onOutcome, call))
  await tell()
}

/** The report of a message. */
export function fromWirePush({ outcome, ...progress }: wire.PushEvent): PushReport {
  return outcome === undefined ? progress : { ...progress, outcome: fromWireOutcome(outcome) }
}
