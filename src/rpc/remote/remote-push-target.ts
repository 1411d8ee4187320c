import { EMPTY_BLOB } from '../../castore/blob-store.ts'
import type { Castore, ReadableCastore } from '../../castore/castore.ts'
import { CastoreError } from '../../castore/castore-error.ts'
import { DigestSet } from '../../castore/digest-set.ts'
import type { Directory } from '../../castore/model/directory.ts'
import type { FileNode, Node } from '../../castore/model/node.ts'
import type { Call } from '../../foundation/call.ts'
import type { Digest } from '../../foundation/digest.ts'
import { readAhead } from '../../foundation/read-ahead.ts'
import type { StorePath } from '../../nix/store-path.ts'
import type { PathInfo } from '../../pathinfo/path-info.ts'
import { asFinal, type TrustPolicy } from '../../pathinfo/trust-policy.ts'
import type { Publish, PushTarget } from '../../substitution/push-target.ts'
import { REMOTE_CALLS_MAX } from '../rpc-limits.ts'
import { remoteCastore } from './remote-castore.ts'
import type { RemoteChannel } from './remote-channel.ts'
import { RemotePathInfoStore } from './remote-path-info-store.ts'

/** What it works with. */
export interface RemotePushTargetComponents {
  readonly channel: RemoteChannel
  /** Where the content is that goes there. */
  readonly castore: ReadableCastore
  readonly trust: Pick<TrustPolicy, 'admit'>
}

/** Pushes to another store by its gRPC services; blobs that it has do not go there again. */
export class RemotePushTarget implements PushTarget {
  readonly name: string
  readonly #local: ReadableCastore
  readonly #remote: Castore
  readonly #pathInfos: RemotePathInfoStore
  readonly #trust: RemotePushTargetComponents['trust']

  constructor(components: RemotePushTargetComponents, init: { name: string }) {
    this.name = init.name
    this.#local = components.castore
    this.#trust = components.trust
    this.#remote = remoteCastore(components)
    this.#pathInfos = new RemotePathInfoStore(components)
  }

  async holds(storePaths: readonly StorePath[], call: Call): Promise<boolean[]> {
    const answers: boolean[] = []
    const ask = async ({ hash }: StorePath) => (await this.#pathInfos.get(hash, call)) !== undefined
    for await (const isHeld of readAhead(storePaths, REMOTE_CALLS_MAX - 1, ask)) {
      answers.push(isHeld)
    }
    return answers
  }

  async upload(pathInfo: PathInfo, onBytes: (bytes: number) => void, call: Call): Promise<Publish> {
    const directories = await this.#directories(pathInfo.node, call)
    const send = (file: FileNode): Promise<void> => this.#sendBlob(file, onBytes, call)
    const files = distinctFiles(pathInfo.node, directories)
    for await (const _ of readAhead(files, REMOTE_CALLS_MAX - 1, send)) {
      call.signal.throwIfAborted()
    }
    if (directories.length > 0) {
      await this.#remote.directories.put(directories.toReversed(), call)
    }
    // What is held here is said by its owner; whether that counts over there is for them to judge.
    const claim = asFinal(this.#trust.admit({ pathInfo, origin: 'owner' }))!
    return (again) => this.#pathInfos.put([claim], again)
  }

  async #directories(node: Node, call: Call): Promise<readonly Directory[]> {
    if (node.type !== 'directory') return []
    const directories: Directory[] = []
    for await (const it of this.#local.directories.closure(node.digest, call)) directories.push(it)
    if (directories.length === 0) throw missing(node.digest, 'directory')
    return directories
  }

  async #sendBlob(
    { digest, size }: FileNode,
    onBytes: (bytes: number) => void,
    call: Call,
  ): Promise<void> {
    const [layout] = await this.#remote.blobs.layouts([digest], call)
    if (layout !== undefined) return onBytes(size)
    const blob = await this.#local.blobs.open(digest, call, size)
    if (blob === undefined) throw missing(digest, 'blob')
    await using writer = this.#remote.blobs.create()
    for await (const piece of blob.read(0, call)) {
      await writer.write(piece, call)
      onBytes(piece.length)
    }
    const came = await writer.commit(call)
    if (!came.equals(digest)) throw new Error(`${this.name} says that ${digest} has become ${came}`)
  }
}

function* distinctFiles(root: Node, directories: readonly Directory[]): Generator<FileNode> {
  const seen = new DigestSet()
  const isNew = ({ digest }: FileNode): boolean =>
    !digest.equals(EMPTY_BLOB) && seen.add(digest.bytes)
  if (root.type === 'file' && isNew(root)) yield root
  for (const { entries } of directories) {
    for (const { node } of entries) if (node.type === 'file' && isNew(node)) yield node
  }
}

function missing(digest: Digest, what: string): CastoreError {
  return new CastoreError(
    { code: 'incomplete', digest: digest.hex },
    `${what} ${digest} is missing`,
  )
}
