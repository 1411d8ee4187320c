import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import { toWireNode } from '../castore/model/directory-codec.ts'
import * as wire from '../generated/cairn/node/v1/node.ts'
import type { PathContents } from '../substitution/path-contents.ts'
import { BLOB_CHUNK_CODEC } from './blob-chunk-codec.ts'
import { type CallHandlers, ownerOnly } from './call-handlers.ts'
import { PIECE_BYTES_MAX } from './rpc-limits.ts'

/** How many entries of a directory one message tells. */
const ENTRIES_PER_MESSAGE = 256

const NAMELESS = new Uint8Array(0)

/** The calls of the NodeService that read what is in store paths, for the owner alone. */
export function pathCalls(
  { paths }: { readonly paths: PathContents },
  handlers: CallHandlers,
): UntypedServiceImplementation {
  return {
    // A CatResponse has the one field that a BlobChunk has.
    Cat: handlers.download(wire.CatRequest, BLOB_CHUNK_CODEC, async (request, send, call) => {
      ownerOnly(call)
      const reader = await paths.open(request.path, call)
      for await (const bytes of reader.read(request.offset, call, request.length)) {
        for (let at = 0; at < bytes.length; at += PIECE_BYTES_MAX) {
          await send(bytes.subarray(at, at + PIECE_BYTES_MAX))
        }
      }
    }),
    List: handlers.download(wire.ListRequest, wire.ListResponse, async (request, send, call) => {
      ownerOnly(call)
      let entries: wire.ListedEntry[] = []
      const init = { isRecursive: request.recursive }
      for await (const { path, node } of paths.list(request.path, init, call)) {
        entries.push({ path, node: toWireNode(NAMELESS, node) })
        if (entries.length < ENTRIES_PER_MESSAGE) continue
        await send({ entries })
        entries = []
      }
      await send({ entries })
    }),
  }
}
