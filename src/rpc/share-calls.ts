import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import type { Log } from '../foundation/log.ts'
import { ShareRequest, ShareResponse } from '../generated/cairn/node/v1/node.ts'
import { StorePath } from '../nix/store-path.ts'
import type { OwnerSharing } from '../pathinfo/owner-sharing.ts'
import { type CallHandlers, ownerOnly } from './call-handlers.ts'

/** What these calls work with. */
export interface ShareCallsComponents {
  readonly sharing: OwnerSharing
  readonly log: Log
}

/** The call of the NodeService by which its owner decides what leaves the machine. */
export function shareCalls(
  { sharing, log }: ShareCallsComponents,
  handlers: CallHandlers,
): UntypedServiceImplementation {
  return {
    Share: handlers.unary(ShareRequest, ShareResponse, async ({ storePaths, shared }, call) => {
      ownerOnly(call)
      const paths = storePaths.map((it) => StorePath.parse(it))
      await sharing.choose(paths, shared, call)
      for (const storePath of paths) log.info('owner decided', { storePath, shared })
      return {}
    }),
  }
}
