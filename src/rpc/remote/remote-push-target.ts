import { EMPTY_BLOB } from '../../castore/blob-store.ts'
import type { Castore, ReadableCastore } from '../../castore/castore.ts'
import { contentBelow, missingContent } from '../../castore/content-below.ts'
import { leavesFirst } from '../../castore/leaves-first.ts'
import type { FileNode } from '../../castore/model/node.ts'
import type { Call } from '../../foundation/call.ts'
import { readAhead } from '../../foundation/read-ahead.ts'
import type { StorePath } from '../../nix/store-path.ts'
import type { PathInfo } from '../../pathinfo/path-info.ts'
import { asFinal, type TrustPolicy } from '../../pathinfo/trust-policy.ts'
import type { Publish, PushTarget } from '../../substitution/push-target.ts'
import { REMOTE_CALLS_MAX } from '../rpc-limits.ts'
import { remoteCastore } from './remote-castore.ts'
import type { RemoteChannel } from './remote-channel.ts'
import { RemoteError } from './remote-error.ts'
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

  isFinal(error: unknown): boolean {
    return error instanceof RemoteError && error.fault.code === 'refused'
  }

  async upload(pathInfo: PathInfo, onBytes: (bytes: number) => void, call: Call): Promise<Publish> {
    const { directories, files } = await contentBelow(pathInfo.node, this.#local, call)
    const send = (file: FileNode): Promise<void> => this.#sendBlob(file, onBytes, call)
    const sent = files.filter(({ digest }) => !digest.equals(EMPTY_BLOB))
    for await (const _ of readAhead(sent, REMOTE_CALLS_MAX - 1, send)) {
      call.signal.throwIfAborted()
    }
    if (directories.length > 0) {
      await this.#remote.directories.put(leavesFirst(directories), call)
    }
    // What is held here is said by its owner; whether that counts over there is for them to judge.
    const claim = asFinal(this.#trust.admit({ pathInfo, origin: 'owner' }))!
    return (again) => this.#pathInfos.put([claim], again)
  }

  async #sendBlob(
    { digest, size }: FileNode,
    onBytes: (bytes: number) => void,
    call: Call,
  ): Promise<void> {
    const [layout] = await this.#remote.blobs.layouts([digest], call)
    if (layout !== undefined) return onBytes(size)
    const blob = await this.#local.blobs.open(digest, call, size)
    if (blob === undefined) throw missingContent(digest, 'blob')
    await using writer = this.#remote.blobs.create()
    for await (const piece of blob.read(0, call)) {
      await writer.write(piece, call)
      onBytes(piece.length)
    }
    const came = await writer.commit(call)
    if (!came.equals(digest)) throw new Error(`${this.name} says that ${digest} has become ${came}`)
  }
}
