import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type IncomingMessage, request as put, type RequestOptions } from 'node:http'
import { basename, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import type { Call } from '../foundation/call.ts'
import { dumpPath } from '../nar/dump-path.ts'
import { nixFingerprint } from '../nix/fingerprint.ts'
import { type PublicKey, SecretKey } from '../nix/key.ts'
import { parsePathInStore } from '../nix/path-in-store.ts'
import { renderSignature } from '../nix/signature.ts'
import { StorePath } from '../nix/store-path.ts'
import { rootFingerprint } from '../pathinfo/root-fingerprint.ts'
import { type Imported, NodeClient } from '../rpc/node-client.ts'

export { dropNote } from '../foundation/drop-box.ts'
export { NixError } from '../nix/nix-error.ts'
export { type Imported, NodeClient, NodeClientError } from '../rpc/node-client.ts'
export type {
  FetchReport,
  NodeLimit,
  NodeStatus,
  PeerStatus,
  SourceStatus,
} from '../rpc/node-view.ts'
export type { PushReport } from '../rpc/push-calls.ts'
export type { SeedReport } from '../rpc/seed-calls.ts'
export type {
  AdoptedPath,
  AdoptReport,
  CleanUpReport,
  PinnedPath,
  StoreFault,
  VerifyReport,
} from '../rpc/upkeep.ts'
export type { ListedNode } from '../substitution/path-contents.ts'
export { parseByteSize } from './quantity.ts'
export { builtDirectory } from './state-directory.ts'

/** How much of a NAR is read ahead of the connection that it is sent by, in bytes. */
const UPLOAD_BYTES = 1024 * 1024

/** Connects to the node at `HOST:PORT`; the first call finds out whether it is there. */
export function connectNode(address: string): NodeClient {
  return new NodeClient({}, { address })
}

/**
 * Sends a file or directory to the node, as the content of a store path of that name (the file's
 * own by default). `onBytes` is told how much of its NAR has been read so far.
 * @throws NixError where the name is none of a store path; NarError where the path can not be read
 */
export async function importPath(
  node: NodeClient,
  path: string,
  init: { readonly name?: string | undefined; readonly onBytes?: (bytes: number) => void },
  call: Call,
): Promise<Imported> {
  const name = init.name ?? basename(resolve(path))
  StorePath.of(new Uint8Array(20), name) // a bad name is better told before than after
  const { gateway } = await node.status(call)
  const hash = createHash('sha256')
  let bytes = 0
  async function* nar(): AsyncGenerator<Uint8Array> {
    for await (const piece of dumpPath(path, call)) {
      bytes += piece.length
      hash.update(piece)
      init.onBytes?.(bytes)
      yield piece
    }
  }
  await uploadNar(gateway, nar(), call)
  return await node.import(name, hash.digest(), call)
}

/** Where uploads go, by the gateway's URL or the file of its socket. */
function placeOf(gateway: string): RequestOptions {
  const path = '/nar/import.nar'
  if (gateway.startsWith('unix:')) return { socketPath: gateway.slice('unix:'.length), path }
  const { hostname, port } = new URL(gateway)
  return { hostname: hostname.replace(/^\[|\]$/g, ''), port, path }
}

/** Puts a NAR to the gateway, which is where nodes take large things in. */
async function uploadNar(
  gateway: string,
  nar: AsyncGenerator<Uint8Array>,
  call: Call,
): Promise<void> {
  const request = put({ ...placeOf(gateway), method: 'PUT', signal: call.signal })
  const answered = once(request, 'response') as Promise<[IncomingMessage]>
  answered.catch(() => undefined) // it may fail while the NAR is still being read
  const source = Readable.from(nar, { objectMode: false, highWaterMark: UPLOAD_BYTES })
  await pipeline(source, request).catch(async (error) => {
    // A node that refuses answers before it has read everything: its words are the better ones.
    if ('fault' in error) throw error
    await answered
  })
  const [response] = await answered
  const words = await text(response)
  if (response.statusCode === 204) return
  throw new Error(`the node refused the NAR with status ${response.statusCode}: ${words.trim()}`)
}

/** Makes a key pair of that name, such as `myhost-1`. */
export function generateKey(name: string): { readonly secret: string; readonly public: string } {
  const key = SecretKey.generate(name)
  return { secret: key.toString(), public: key.publicKey().toString() }
}

/** The public half of a secret key's text. @throws NixError */
export function publicKeyOf(secret: string): PublicKey {
  return SecretKey.parse(secret.trim()).publicKey()
}

/** Checks that a text is a store path. @throws NixError */
export function checkStorePath(text: string): void {
  StorePath.parse(text)
}

/** Checks that bytes are a store path, perhaps with more behind it. @throws NixError */
export function checkPathInStore(path: Uint8Array): void {
  parsePathInStore(path)
}

/**
 * Signs a path that the node holds, both the Nix way and over its castore root. The secret key
 * stays in this process.
 * @throws NixError, NodeClientError, Error where the node does not hold the path
 */
export async function signPath(
  node: NodeClient,
  secret: string,
  storePath: string,
  call: Call,
): Promise<void> {
  const key = SecretKey.parse(secret.trim())
  const pathInfo = await node.describe(storePath, call)
  if (pathInfo === undefined) throw new Error(`the node does not hold ${storePath}`)
  const nix = renderSignature(key.sign(nixFingerprint(pathInfo)))
  const root = renderSignature(key.sign(rootFingerprint(pathInfo)))
  await node.addSignatures(storePath, { nix: [nix], root: [root] }, call)
}
