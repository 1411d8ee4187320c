import { CastoreError, invalid } from '../../castore/castore-error.ts'
import type { DirectoryStore } from '../../castore/directory-store.ts'
import { Directory } from '../../castore/model/directory.ts'
import type { DirectoryNode } from '../../castore/model/node.ts'
import { equalBytes } from '../../foundation/bytes.ts'
import type { Call } from '../../foundation/call.ts'
import type { Digest } from '../../foundation/digest.ts'
import { readAhead } from '../../foundation/read-ahead.ts'
import {
  GetDirectoryRequest,
  PutDirectoryResponse,
} from '../../generated/tvix/castore/v1/rpc_directory.ts'
import { REMOTE_CALLS_MAX } from '../rpc-limits.ts'
import { RAW_CODEC } from '../wire-codec.ts'
import { ClosureCheck } from './closure-check.ts'
import type { RemoteChannel, RemoteMethod } from './remote-channel.ts'
import { badAnswer } from './remote-error.ts'

const GET: RemoteMethod<GetDirectoryRequest, Uint8Array> = {
  service: 'DirectoryService',
  method: 'Get',
  request: GetDirectoryRequest,
  response: RAW_CODEC,
}

const PUT: RemoteMethod<Uint8Array, PutDirectoryResponse> = {
  service: 'DirectoryService',
  method: 'Put',
  request: RAW_CODEC,
  response: PutDirectoryResponse,
}

/**
 * Directories of another node, or of any server that speaks tvix's DirectoryService. One upload has
 * one root: Directories that no other of them refers to become one upload each, with all below them
 * that was given. What they refer to beyond that is looked for over there first; tvix's own servers
 * take a closure only as a whole.
 */
export class RemoteDirectoryStore implements DirectoryStore {
  readonly #channel: RemoteChannel

  constructor(components: { channel: RemoteChannel }) {
    this.#channel = components.channel
  }

  async get(digest: Digest, call: Call): Promise<Directory | undefined> {
    for await (const directory of this.#received(digest, false, call)) {
      if (directory.digest.equals(digest)) return directory
      const what = `${this.#channel.address} sent directory ${directory.digest} for ${digest}`
      throw new CastoreError({ code: 'digest-mismatch', digest: digest.hex }, what)
    }
    return undefined
  }

  async *closure(root: Digest, call: Call): AsyncGenerator<Directory> {
    const check = new ClosureCheck({}, { root })
    let came = false
    for await (const directory of this.#received(root, true, call)) {
      check.take(directory)
      came = true
      yield directory
    }
    if (came) check.finish()
  }

  async put(directories: readonly Directory[], call: Call): Promise<void> {
    const given = new Map<string, Directory>()
    const outside = new Map<string, DirectoryNode>()
    const tops = new Map<string, Directory>()
    for (const directory of directories) {
      for (const child of childrenOf(directory)) {
        const known = given.get(child.digest.hex) ?? outside.get(child.digest.hex)
        if (known === undefined) outside.set(child.digest.hex, child)
        else checkSize(child, known.size)
        tops.delete(child.digest.hex)
      }
      if (given.has(directory.digest.hex)) continue
      given.set(directory.digest.hex, directory)
      tops.set(directory.digest.hex, directory)
    }
    await this.#checkHeld([...outside.values()], call)
    for (const top of tops.values()) await this.#put(below(top, given), top, call)
  }

  async #checkHeld(nodes: readonly DirectoryNode[], call: Call): Promise<void> {
    const look = async (node: DirectoryNode) => ({ node, held: await this.get(node.digest, call) })
    for await (const { node, held } of readAhead(nodes, REMOTE_CALLS_MAX - 1, look)) {
      if (held !== undefined) checkSize(node, held.size)
      else {
        const what = `directory ${node.digest} is referred to but not held`
        throw new CastoreError({ code: 'incomplete', digest: node.digest.hex }, what)
      }
    }
  }

  async #put(directories: readonly Directory[], root: Directory, call: Call): Promise<void> {
    await using upload = this.#channel.upload(PUT)
    for (const { encoded } of directories) await upload.send(encoded, call)
    const { rootDigest } = await upload.finish(call)
    if (equalBytes(rootDigest, root.digest.bytes)) return
    throw badAnswer(this.#channel.address, `says that it got another root than ${root.digest}`)
  }

  async *#received(digest: Digest, recursive: boolean, call: Call): AsyncGenerator<Directory> {
    const request = { byWhat: { $case: 'digest' as const, digest: digest.bytes }, recursive }
    // What is not there is no Directory at all, so that there is nothing else to tell.
    const nothing = (): void => undefined
    for await (const message of this.#channel.download(GET, request, nothing, call)) {
      yield Directory.decode(message)
    }
  }
}

/** A Directory and what of the given ones is below it, children first. */
function below(top: Directory, given: ReadonlyMap<string, Directory>): Directory[] {
  const wanted = new Set<string>()
  const next = [top]
  for (let at = next.pop(); at !== undefined; at = next.pop()) {
    if (wanted.has(at.digest.hex)) continue
    wanted.add(at.digest.hex)
    for (const { digest } of childrenOf(at)) {
      const child = given.get(digest.hex)
      if (child !== undefined) next.push(child)
    }
  }
  return [...given.values()].filter(({ digest }) => wanted.has(digest.hex))
}

function childrenOf(directory: Directory): DirectoryNode[] {
  return directory.entries.flatMap(({ node }) => (node.type === 'directory' ? [node] : []))
}

function checkSize({ digest, size }: DirectoryNode, actual: number): void {
  if (size === actual) return
  throw invalid(`directory ${digest} has ${actual} entries below it, its parent says ${size}`)
}
