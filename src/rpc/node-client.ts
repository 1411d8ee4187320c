import { type ClientReadableStream, credentials, type ServiceError, status } from '@grpc/grpc-js'
import { fromWireNode } from '../castore/model/directory-codec.ts'
import type { Call } from '../foundation/call.ts'
import {
  type CleanUpRequest,
  type CleanUpResponse,
  type DescribeRequest,
  type DescribeResponse,
  type ImportRequest,
  type ImportResponse,
  type LimitsResponse,
  NodeServiceClient,
  type PardonRequest,
  type PardonResponse,
  type PeersResponse,
  type PinsResponse,
  type SourcesResponse,
  type StatusResponse,
} from '../generated/cairn/node/v1/node.ts'
import type { PathInfo } from '../pathinfo/path-info.ts'
import { fromWireSigned } from '../pathinfo/path-info-codec.ts'
import type { ListedNode } from '../substitution/path-contents.ts'
import {
  fromWireEvent,
  fromWirePeer,
  fromWireSource,
  fromWireStatus,
  fromWireVerify,
} from './node-messages.ts'
import type { FetchReport, NodeLimit, NodeStatus, PeerStatus, SourceStatus } from './node-view.ts'
import { fromWirePush, type PushReport } from './push-calls.ts'
import { CLIENT_OPTIONS } from './rpc-options.ts'
import type { SeedReport } from './seed-calls.ts'
import type { AdoptReport, CleanUpInit, CleanUpReport, PinnedPath, VerifyReport } from './upkeep.ts'

/** What an import came to. */
export interface Imported {
  readonly storePath: string
  /** Length of the NAR in bytes. */
  readonly narSize: number
  /** Whether other machines may have it. */
  readonly shared: boolean
}

/** A node can not be reached, or answered that something went wrong. */
export class NodeClientError extends Error {
  /** Whether no node answered at all. */
  readonly unreachable: boolean

  constructor(message: string, unreachable: boolean, options?: ErrorOptions) {
    super(message, options)
    this.name = 'NodeClientError'
    this.unreachable = unreachable
  }
}

type Done<A> = (error: ServiceError | null, answer: A) => void

type Unary<Q, A> = (request: Q, done: Done<A>) => { cancel(): void }

/** A client of a running node's `cairn.node.v1` service. */
export class NodeClient implements Disposable {
  readonly #address: string
  readonly #client: NodeServiceClient

  constructor(_components: object, init: { address: string }) {
    this.#address = init.address
    this.#client = new NodeServiceClient(init.address, credentials.createInsecure(), CLIENT_OPTIONS)
  }

  async status(call: Call): Promise<NodeStatus> {
    return fromWireStatus(
      await this.#unary(
        (request: object, done: Done<StatusResponse>) => this.#client.status(request, done),
        {},
        call,
      ),
    )
  }

  /** Where paths come from, in the order that they are asked. */
  async sources(call: Call): Promise<SourceStatus[]> {
    const { sources } = await this.#unary(
      (request: object, done: Done<SourcesResponse>) => this.#client.sources(request, done),
      {},
      call,
    )
    return sources.map(fromWireSource)
  }

  async peers(call: Call): Promise<PeerStatus[]> {
    const { peers } = await this.#unary(
      (request: object, done: Done<PeersResponse>) => this.#client.peers(request, done),
      {},
      call,
    )
    return peers.map(fromWirePeer)
  }

  /** Forgets what peers have done; says whose offences there were any of. */
  async pardon(peers: readonly string[], call: Call): Promise<string[]> {
    const { pardoned } = await this.#unary(
      (request: PardonRequest, done: Done<PardonResponse>) => this.#client.pardon(request, done),
      { peerIds: [...peers] },
      call,
    )
    return pardoned
  }

  /** What bounds each request, queue, wait and memory of the node. */
  async limits(call: Call): Promise<NodeLimit[]> {
    const { limits } = await this.#unary(
      (request: object, done: Done<LimitsResponse>) => this.#client.limits(request, done),
      {},
      call,
    )
    return limits
  }

  /** What the node holds under a store path; undefined where it does not. */
  async describe(storePath: string, call: Call): Promise<PathInfo | undefined> {
    const { pathInfo } = await this.#unary(
      (request: DescribeRequest, done: Done<DescribeResponse>) =>
        this.#client.describe(request, done),
      { storePath },
      call,
    )
    return pathInfo === undefined ? undefined : fromWireSigned(pathInfo)
  }

  /** Adds signatures, as `name:base64`, to a path that the node holds. */
  async addSignatures(
    storePath: string,
    signatures: { readonly nix: readonly string[]; readonly root: readonly string[] },
    call: Call,
  ): Promise<void> {
    const request = {
      storePath,
      signatures: [...signatures.nix],
      rootSignatures: [...signatures.root],
    }
    await this.#unary((request, done) => this.#client.addSignatures(request, done), request, call)
  }

  /** Shares paths that the node holds, or keeps them on its machine: all of them, or none. */
  async share(storePaths: readonly string[], shared: boolean, call: Call): Promise<void> {
    const request = { storePaths: [...storePaths], shared }
    await this.#unary((request, done) => this.#client.share(request, done), request, call)
  }

  /** Keeps paths that the node holds, whatever its bounds, or no more: all of them, or none. */
  async pin(storePaths: readonly string[], pinned: boolean, call: Call): Promise<void> {
    const request = { storePaths: [...storePaths], pinned }
    await this.#unary((request, done) => this.#client.pin(request, done), request, call)
  }

  async pins(call: Call): Promise<PinnedPath[]> {
    const { pins } = await this.#unary(
      (request: object, done: Done<PinsResponse>) => this.#client.pins(request, done),
      {},
      call,
    )
    return pins
  }

  /** Has the node let go of what it need not keep. */
  async cleanUp(init: CleanUpInit, call: Call): Promise<CleanUpReport> {
    const { isDryRun, isNow, maxBytes } = init
    return await this.#unary(
      (request: CleanUpRequest, done: Done<CleanUpResponse>) => this.#client.cleanUp(request, done),
      { dryRun: isDryRun, now: isNow, maxBytes },
      call,
    )
  }

  /** Has the node take in paths of its machine's store where they lie; yields how it goes. */
  async *adopt(
    selection: readonly string[] | 'all' | 'signed',
    init: { sign: boolean },
    call: Call,
  ): AsyncGenerator<AdoptReport> {
    const storePaths = typeof selection === 'string' ? [] : [...selection]
    const which = { all: selection === 'all', signed: selection === 'signed' }
    const begin = () => this.#client.adopt({ storePaths, ...which, ...init })
    for await (const { path, ...progress } of this.#download(begin, call)) {
      yield { ...progress, path: path && { ...path, error: path.error || undefined } }
    }
  }

  /** Has the node check all that it keeps; yields how it goes. */
  async *verify(init: { isRepair: boolean }, call: Call): AsyncGenerator<VerifyReport> {
    const begin = () => this.#client.verify({ repair: init.isRepair })
    for await (const event of this.#download(begin, call)) yield fromWireVerify(event)
  }

  /** Makes a store path of a NAR that was uploaded to the gateway. */
  async import(name: string, narSha256: Uint8Array, call: Call): Promise<Imported> {
    return await this.#unary(
      (request: ImportRequest, done: Done<ImportResponse>) => this.#client.import(request, done),
      { name, narSha256 },
      call,
    )
  }

  /** Has the node bring paths to itself; yields how it goes. */
  async *fetch(
    storePaths: readonly string[],
    init: { closure: boolean },
    call: Call,
  ): AsyncGenerator<FetchReport> {
    const { closure } = init
    const begin = () => this.#client.fetch({ storePaths: [...storePaths], closure })
    for await (const event of this.#download(begin, call)) yield fromWireEvent(event)
  }

  /** Copies paths and what they refer to to a cache, by its URL; yields how it goes. */
  async *push(
    storePaths: readonly string[],
    init: { to: string; compression: string },
    call: Call,
  ): AsyncGenerator<PushReport> {
    const begin = () =>
      this.#client.push({
        storePaths: [...storePaths],
        to: init.to,
        compression: init.compression,
      })
    for await (const event of this.#download(begin, call)) yield fromWirePush(event)
  }

  /** Pins paths, and tells again and again which neighbours have them by now. */
  async *seed(storePaths: readonly string[], call: Call): AsyncGenerator<SeedReport> {
    const begin = () => this.#client.seed({ storePaths: [...storePaths] })
    for await (const { holders, ...totals } of this.#download(begin, call)) {
      yield {
        ...totals,
        holders: holders.map(({ peerId, ...same }) => ({ peer: peerId, ...same })),
      }
    }
  }

  /** A file's bytes, or a range of them: as many as `length` says, or up to the end. */
  async *cat(
    path: Uint8Array,
    range: { readonly offset: number; readonly length?: number | undefined },
    call: Call,
  ): AsyncGenerator<Uint8Array> {
    const begin = () => this.#client.cat({ path, ...range })
    for await (const { data } of this.#download(begin, call)) yield data
  }

  /** What is in a directory in a store path; see {@link ListedNode}. */
  async *list(
    path: Uint8Array,
    init: { readonly isRecursive: boolean },
    call: Call,
  ): AsyncGenerator<ListedNode> {
    const begin = () => this.#client.list({ path, recursive: init.isRecursive })
    for await (const { entries } of this.#download(begin, call)) {
      for (const entry of entries) {
        yield { path: entry.path, node: fromWireNode(entry.node).node }
      }
    }
  }

  [Symbol.dispose](): void {
    this.#client.close()
  }

  async *#download<A>(begin: () => ClientReadableStream<A>, call: Call): AsyncGenerator<A> {
    call.signal.throwIfAborted()
    const stream = begin()
    const onAbort = (): void => stream.cancel()
    call.signal.addEventListener('abort', onAbort, { once: true })
    try {
      for await (const message of stream as AsyncIterable<A>) yield message
    } catch (error) {
      call.signal.throwIfAborted()
      throw this.#translated(error as ServiceError)
    } finally {
      call.signal.removeEventListener('abort', onAbort)
      stream.cancel()
    }
  }

  async #unary<Q, A>(method: Unary<Q, A>, request: Q, call: Call): Promise<A> {
    call.signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<A>()
    const running = method(request, (error, answer) => {
      if (error === null) resolve(answer)
      else reject(this.#translated(error))
    })
    const onAbort = (): void => running.cancel()
    call.signal.addEventListener('abort', onAbort, { once: true })
    try {
      return await promise
    } catch (error) {
      call.signal.throwIfAborted()
      throw error
    } finally {
      call.signal.removeEventListener('abort', onAbort)
    }
  }

  #translated(error: ServiceError): NodeClientError {
    if (error.code === status.UNAVAILABLE) {
      const what = `no cairn node answers at ${this.#address}; is \`cairn daemon\` running?`
      return new NodeClientError(what, true, { cause: error })
    }
    return new NodeClientError(error.details || error.message, false, { cause: error })
  }
}
