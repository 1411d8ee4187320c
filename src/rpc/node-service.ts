import type {
  handleUnaryCall,
  ServerUnaryCall,
  ServerWritableStream,
  sendUnaryData,
} from '@grpc/grpc-js'
import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import type {
  FetchEvent,
  FetchRequest,
  ImportRequest,
  ImportResponse,
  NodeServiceServer,
} from '../generated/cairn/node/v1/node.ts'
import { fixedStorePath } from '../nix/fixed-store-path.ts'
import { renderNixHash } from '../nix/nix-hash.ts'
import { parseSignature } from '../nix/signature.ts'
import { StorePath } from '../nix/store-path.ts'
import { toWireSigned } from '../pathinfo/path-info-codec.ts'
import type { PathInfoStore } from '../pathinfo/path-info-store.ts'
import type { UploadedNarStore } from '../pathinfo/uploaded-nar-store.ts'
import { ClosureFetch } from '../substitution/closure-fetch.ts'
import type { OwnerIntake } from '../substitution/owner-intake.ts'
import type { Substituter } from '../substitution/substituter.ts'
import { toWireEvent, toWirePeer, toWireStatus } from './node-messages.ts'
import type { NodeView } from './node-view.ts'
import { notFound, toServiceError } from './rpc-error.ts'

/** How often a fetch tells how it goes. */
const PROGRESS_MS = 200

/** What the service works with. */
export interface NodeServiceComponents {
  readonly view: NodeView
  readonly pathInfos: PathInfoStore
  readonly uploads: UploadedNarStore
  readonly intake: OwnerIntake
  readonly substituter: Substituter
  readonly clock: Clock
  readonly log: Log
}

/** `cairn.node.v1.NodeService`: what the command line asks of the node. */
export function nodeService(components: NodeServiceComponents): NodeServiceServer {
  const { view } = components
  return {
    import: unary((request, call) => importNar(components, request, call)),
    fetch: (call) => {
      fetchPaths(components, call).then(
        () => call.end(),
        // Destroying it would tell the client nothing, which then waits for ever.
        (error) => call.emit('error', toServiceError(error)),
      )
    },
    status: unary(async () => toWireStatus(view.status())),
    peers: unary(async () => ({ peers: view.peers().map(toWirePeer) })),
    keys: unary(async () => {
      const { trustedKeys, signingKey } = view.status()
      return { trusted: [...trustedKeys], signing: signingKey ?? '' }
    }),
    describe: unary(async ({ storePath }, call) => {
      const { hash } = StorePath.parse(storePath)
      const pathInfo = await components.pathInfos.get(hash, call)
      return { pathInfo: pathInfo === undefined ? undefined : toWireSigned(pathInfo) }
    }),
    addSignatures: unary(async ({ storePath, signatures, rootSignatures }, call) => {
      const pathInfo = await components.pathInfos.get(StorePath.parse(storePath).hash, call)
      if (pathInfo === undefined) throw notFound(`${storePath} is not held here`)
      const added = {
        nix: signatures.map(parseSignature),
        root: rootSignatures.map(parseSignature),
      }
      await components.intake.addSignatures(pathInfo, added, call)
      return {}
    }),
  }
}

async function importNar(
  { uploads, intake, substituter, log }: NodeServiceComponents,
  request: ImportRequest,
  call: Call,
): Promise<ImportResponse> {
  const { name, narSha256 } = request
  const uploaded = await uploads.get(narSha256, call)
  if (uploaded === undefined) throw notFound('no NAR with that hash has been uploaded')
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
  { substituter, clock }: NodeServiceComponents,
  stream: ServerWritableStream<FetchRequest, FetchEvent>,
): Promise<void> {
  const call = callOf(stream)
  const { storePaths, closure } = stream.request
  const fetch = new ClosureFetch({ substituter }, { closure })
  const over = new AbortController()
  const tell = async (): Promise<void> => {
    while (!over.signal.aborted) {
      stream.write(toWireEvent(fetch.progress))
      await clock.sleep(PROGRESS_MS, over).catch(() => undefined) // the fetch is over
    }
  }
  const telling = tell()
  try {
    const paths = storePaths.map((it) => StorePath.parse(it))
    await fetch.run(paths, (outcome) => stream.write(toWireEvent(fetch.progress, outcome)), call)
  } finally {
    over.abort()
    await telling
  }
}

/** A handler that answers one message with one, its errors translated. */
function unary<Q, A>(answer: (request: Q, call: Call) => Promise<A>): handleUnaryCall<Q, A> {
  return (call: ServerUnaryCall<Q, A>, callback: sendUnaryData<A>) => {
    answer(call.request, callOf(call)).then((it) => callback(null, it), failing(callback))
  }
}

function failing(callback: (error: ReturnType<typeof toServiceError>) => void) {
  return (error: unknown): void => callback(toServiceError(error))
}

function callOf(stream: {
  on(event: 'cancelled', listener: () => void): unknown
  readonly cancelled: boolean
}): Call {
  const abort = new AbortController()
  const cancel = (): void => abort.abort(new Error('the client has cancelled'))
  stream.on('cancelled', cancel)
  if (stream.cancelled) cancel()
  return { signal: abort.signal }
}
