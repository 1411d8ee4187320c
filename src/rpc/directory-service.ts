import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import type { Castore, ReadableCastore } from '../castore/castore.ts'
import { CastoreError, invalid } from '../castore/castore-error.ts'
import { Directory } from '../castore/model/directory.ts'
import { decodeEntries } from '../castore/model/directory-codec.ts'
import type { Call } from '../foundation/call.ts'
import type { Digest } from '../foundation/digest.ts'
import {
  GetDirectoryRequest,
  PutDirectoryResponse,
} from '../generated/tvix/castore/v1/rpc_directory.ts'
import { requestedDigest } from './blob-service.ts'
import { type CallHandlers, ownerOnly } from './call-handlers.ts'
import { DirectoryClosureIntake } from './directory-closure-intake.ts'
import type { Readers } from './readers.ts'
import { rpcError } from './rpc-error.ts'
import { CLOSURE_DIRECTORIES_MAX, DIRECTORY_BATCH_MAX } from './rpc-limits.ts'
import { RAW_CODEC } from './wire-codec.ts'

/** `DirectoryService` of tvix.castore.v1 and snix.castore.v1. */
export function directoryService(
  components: { readonly castore: Castore; readonly readers: Readers },
  handlers: CallHandlers,
): UntypedServiceImplementation {
  const { castore, readers } = components
  return {
    Get: handlers.download(GetDirectoryRequest, RAW_CODEC, async (request, send, call) => {
      if (request.byWhat === undefined) throw rpcError('bad-request', 'a request names a digest')
      const digest = requestedDigest(request.byWhat.digest)
      const readable = readers.castoreFor(call)
      let sent = 0
      for await (const directory of found(readable, digest, request.recursive, call)) {
        if (sent++ < CLOSURE_DIRECTORIES_MAX) await send(directory.encoded)
        else throw rpcError('too-much', `there are more than ${CLOSURE_DIRECTORIES_MAX} below it`)
      }
      if (sent === 0) throw rpcError('not-found', `directory ${digest} is not held`)
    }),
    Put: handlers.upload(RAW_CODEC, PutDirectoryResponse, async (messages, call) => {
      ownerOnly(call)
      const intake = new DirectoryClosureIntake({})
      let batch: Directory[] = []
      for await (const message of messages) {
        const directory = directoryOf(message)
        if (intake.add(directory)) batch.push(directory)
        if (batch.length <= DIRECTORY_BATCH_MAX) continue
        // The last one may be the root: it is stored when all the rest is known to belong to it.
        await put(castore, batch.slice(0, -1), call)
        batch = batch.slice(-1)
      }
      const root = intake.finish()
      await put(castore, batch, call)
      await castore.sync(call)
      return { rootDigest: root.bytes }
    }),
  }
}

async function* found(
  { directories }: ReadableCastore,
  digest: Digest,
  recursive: boolean,
  call: Call,
): AsyncGenerator<Directory> {
  if (recursive) return yield* directories.closure(digest, call)
  const directory = await directories.get(digest, call)
  if (directory !== undefined) yield directory
}

/** The Directory of a message, which need not be in canonical encoding, but in order. */
function directoryOf(message: Uint8Array): Directory {
  const { entries, inOrder } = decodeEntries(message)
  if (!inOrder) throw invalid('the lists of a Directory are sorted by name, each name once')
  return Directory.of(entries)
}

async function put(castore: Castore, batch: readonly Directory[], call: Call): Promise<void> {
  try {
    await castore.directories.put(batch, call)
  } catch (error) {
    const missing = error instanceof CastoreError && error.fault.code === 'incomplete'
    throw missing ? rpcError('bad-request', error.message, error) : error
  }
}
