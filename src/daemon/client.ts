import { basename, resolve } from 'node:path'
import type { Call } from '../foundation/call.ts'
import { dumpPath } from '../nar/dump-path.ts'
import { nixFingerprint } from '../nix/fingerprint.ts'
import { type PublicKey, SecretKey } from '../nix/key.ts'
import { renderSignature } from '../nix/signature.ts'
import { StorePath } from '../nix/store-path.ts'
import { rootFingerprint } from '../pathinfo/root-fingerprint.ts'
import { type Imported, NodeClient } from '../rpc/node-client.ts'

export { type Imported, NodeClient, NodeClientError } from '../rpc/node-client.ts'
export type { FetchReport, NodeStatus, PeerStatus } from '../rpc/node-view.ts'

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
  let bytes = 0
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const piece of dumpPath(path, call)) {
      bytes += piece.length
      init.onBytes?.(bytes)
      yield piece
    }
  }
  return await node.import(name, counted(), call)
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
