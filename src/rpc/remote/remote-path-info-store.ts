import { equalBytes } from '../../foundation/bytes.ts'
import type { Call } from '../../foundation/call.ts'
import { readAhead } from '../../foundation/read-ahead.ts'
import { PathInfo as WirePathInfo } from '../../generated/tvix/store/v1/pathinfo.ts'
import {
  GetPathInfoRequest,
  ListPathInfoRequest,
} from '../../generated/tvix/store/v1/rpc_pathinfo.ts'
import type { PathInfo } from '../../pathinfo/path-info.ts'
import { fromWireSigned, toWireSigned } from '../../pathinfo/path-info-codec.ts'
import type { PathInfoStore } from '../../pathinfo/path-info-store.ts'
import type { FinalClaim } from '../../pathinfo/trust-policy.ts'
import { REMOTE_CALLS_MAX } from '../rpc-limits.ts'
import type { RemoteChannel, RemoteMethod } from './remote-channel.ts'
import { badAnswer } from './remote-error.ts'

const GET: RemoteMethod<GetPathInfoRequest, WirePathInfo> = {
  service: 'PathInfoService',
  method: 'Get',
  slow: true,
  request: GetPathInfoRequest,
  response: WirePathInfo,
}

const PUT: RemoteMethod<WirePathInfo, WirePathInfo> = {
  service: 'PathInfoService',
  method: 'Put',
  slow: true,
  request: WirePathInfo,
  response: WirePathInfo,
}

const LIST: RemoteMethod<ListPathInfoRequest, WirePathInfo> = {
  service: 'PathInfoService',
  method: 'List',
  request: ListPathInfoRequest,
  response: WirePathInfo,
}

/**
 * PathInfos of another node, or of any server that speaks tvix's PathInfoService. What they say is
 * the other side's word: nothing here judges it. The messages have no field for signatures over the
 * castore root, so that these neither go there nor come from there.
 */
export class RemotePathInfoStore implements PathInfoStore {
  readonly #channel: RemoteChannel

  constructor(components: { channel: RemoteChannel }) {
    this.#channel = components.channel
  }

  async get(hash: Uint8Array, call: Call): Promise<PathInfo | undefined> {
    const byWhat = { $case: 'byOutputHash' as const, byOutputHash: hash }
    const message = await this.#channel.unary(GET, { byWhat }, call)
    if (message === undefined) return undefined
    const pathInfo = this.#read(message)
    if (equalBytes(pathInfo.storePath.hash, hash)) return pathInfo
    throw badAnswer(this.#channel.address, `sent ${pathInfo.storePath}, which was not asked for`)
  }

  /**
   * Each path is put for itself: where one fails, others may be there.
   * @throws RemoteError 'rejected' where the content is not there, or has another NAR
   */
  async put(claims: readonly FinalClaim[], call: Call): Promise<void> {
    const put = async ({ pathInfo }: FinalClaim): Promise<void> => {
      const stored = await this.#channel.unary(PUT, toWireSigned(pathInfo).pathInfo!, call)
      if (stored === undefined) throw badAnswer(this.#channel.address, 'does not find what was put')
    }
    for await (const _ of readAhead(claims, REMOTE_CALLS_MAX - 1, put)) call.signal.throwIfAborted()
  }

  async *list(call: Call): AsyncGenerator<PathInfo> {
    const onAbsent = (): never => {
      throw badAnswer(this.#channel.address, 'does not find its list')
    }
    for await (const message of this.#channel.download(LIST, {}, onAbsent, call)) {
      yield this.#read(message)
    }
  }

  #read(message: WirePathInfo): PathInfo {
    try {
      return fromWireSigned({ pathInfo: message, rootSignatures: [] })
    } catch (cause) {
      throw badAnswer(this.#channel.address, 'sent a PathInfo that breaks a rule', cause)
    }
  }
}
