import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connectNode, generateKey, importPath } from '../../src/daemon/client.ts'
import { unhurriedCall } from '../../src/foundation/call.ts'
import { type DaemonProcess, startDaemon } from '../fixtures/daemon-process.ts'

const call = unhurriedCall()

/** A key for a run: the file for the node that signs, and what the others trust. */
export interface BenchKey {
  readonly file: string
  readonly publicKey: string
}

/** Makes a key in the scratch directory. */
export async function makeKey(scratch: string): Promise<BenchKey> {
  const key = generateKey('bench-1')
  const file = join(scratch, 'secret.key')
  await writeFile(file, key.secret)
  return { file, publicKey: key.public }
}

/** A node that signs what is put into it. */
export function startSource(key: BenchKey): Promise<DaemonProcess> {
  const args = ['--no-mdns', '--signing-key', key.file, '--trusted-key', key.publicKey]
  return startDaemon({ args, env: QUIET })
}

/** A node that fetches from another one. */
export async function startFetcher(key: BenchKey, source: DaemonProcess): Promise<DaemonProcess> {
  const peers = ['--bootstrap', source.listen]
  const args = ['--no-mdns', ...peers, '--trusted-key', key.publicKey]
  const node = await startDaemon({ args, env: QUIET })
  using client = connectNode(node.rpc)
  while ((await client.peers(call)).length === 0) await new Promise(setImmediate)
  return node
}

/** Puts a path into a node; says its store path. */
export async function importInto(node: DaemonProcess, path: string, name: string): Promise<string> {
  using client = connectNode(node.rpc)
  return (await importPath(client, path, { name }, call)).storePath
}

/** Has a node fetch a path. @throws where it can not */
export async function fetchInto(node: DaemonProcess, storePath: string): Promise<void> {
  using client = connectNode(node.rpc)
  for await (const { outcome } of client.fetch([storePath], { closure: true }, call)) {
    if (outcome?.error !== undefined) throw new Error(outcome.error)
  }
}

const QUIET = { CAIRN_LOG: 'warn' }
