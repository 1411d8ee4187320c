import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { connectNode, type NodeStatus, type PeerStatus } from '../../../src/daemon/client.ts'
import type { Call } from '../../../src/foundation/call.ts'
import { call } from '../../fixtures/content.ts'
import { type DaemonProcess, startDaemon } from '../../fixtures/daemon-process.ts'
import type { LanNode } from '../../fixtures/namespaces.ts'

/** How a second is cut in /proc/PID/stat: USER_HZ, which is 100 wherever Linux is. */
const TICKS_PER_SECOND = 100

const PEER_PORT = 9001

/** Where a node lives, and what it is told. */
export interface LabNodeInit {
  readonly place: LanNode
  /** For its state and its sockets; it is there already. */
  readonly directory: string
  readonly args: readonly string[]
  /** The port of its gateway on its own machine; else a socket's file. */
  readonly gatewayPort?: number
}

/**
 * `cairn daemon` in a namespace of its own, asked by sockets in the file system, which all
 * namespaces share: what the lab says to it does not cross the links that are measured.
 */
export class LabNode implements AsyncDisposable {
  readonly #init: LabNodeInit
  readonly #rpc: string
  readonly #gateway: string
  #daemon: DaemonProcess | undefined
  /** What the lives before this one took. */
  #spentSeconds = 0

  private constructor(init: LabNodeInit) {
    this.#init = init
    this.#rpc = `unix:${join(init.directory, 'rpc')}`
    this.#gateway = join(init.directory, 'gateway')
  }

  /** Starts a node; resolves once it answers GET /nix-cache-info. */
  static async start(init: LabNodeInit): Promise<LabNode> {
    const node = new LabNode(init)
    await node.restart()
    return node
  }

  /** Where other nodes find it. */
  get address(): string {
    return `/ip4/${this.#init.place.address}/tcp/${PEER_PORT}`
  }

  /** Where commands find it. */
  get rpc(): string {
    return this.#rpc
  }

  /** Starts it again on the state that it left. */
  async restart(): Promise<void> {
    const { place, directory, args, gatewayPort: port } = this.#init
    const gateway = port === undefined ? `unix:${this.#gateway}` : `127.0.0.1:${port}`
    const sockets = ['--gateway', gateway, '--rpc', this.#rpc]
    const places = ['--state', join(directory, 'state'), '--listen', this.address]
    this.#daemon = await startDaemon({
      namespace: place.namespace,
      args: [...sockets, ...places, ...args],
      env: { CAIRN_LOG: 'warn' },
    })
  }

  /** Kills it as a power cut would. */
  async kill(): Promise<void> {
    this.#spentSeconds = this.cpuSeconds()
    const daemon = this.#daemon
    this.#daemon = undefined
    await daemon?.kill()
  }

  /** Processor time that it took in all its lives, in seconds. */
  cpuSeconds(): number {
    if (this.#daemon === undefined) return this.#spentSeconds
    const stat = readFileSync(`/proc/${this.#daemon.pid}/stat`, 'utf8')
    // The second field is a name in brackets, which may have blanks in it; utime is the 14th.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return this.#spentSeconds + (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
  }

  /** What `cairn peers` says. */
  async peers(): Promise<PeerStatus[]> {
    using client = connectNode(this.#rpc)
    return await client.peers(call)
  }

  async status(): Promise<NodeStatus> {
    using client = connectNode(this.#rpc)
    return await client.status(call)
  }

  /** Has it fetch a path, as `cairn fetch` does. @throws where it can not */
  async fetch(storePath: string, call: Call): Promise<void> {
    using client = connectNode(this.#rpc)
    for await (const { outcome } of client.fetch([storePath], { closure: true }, call)) {
      if (outcome?.error !== undefined) throw new Error(outcome.error)
    }
  }

  /** SHA-256, in hex, of the NAR that its gateway gives. @throws where it gives none */
  async narSha256(storePath: string): Promise<string> {
    const hash = storePath.slice('/nix/store/'.length).slice(0, 32)
    const narInfo = await text(await this.#get(`/${hash}.narinfo`))
    const url = /^URL: (.+)$/m.exec(narInfo)?.[1]
    if (url === undefined) throw new Error(`a narinfo without URL: ${narInfo}`)
    const digest = createHash('sha256')
    await pipeline(await this.#get(`/${url}`), digest)
    return digest.digest('hex')
  }

  /** Resolves once it is gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }

  async #get(path: string): Promise<NodeJS.ReadableStream> {
    const { promise, resolve, reject } = Promise.withResolvers<NodeJS.ReadableStream>()
    request({ socketPath: this.#gateway, path }, (response) => {
      if (response.statusCode === 200) resolve(response)
      else reject(new Error(`GET ${path} was answered ${response.statusCode}`))
    })
      .on('error', reject)
      .end()
    return await promise
  }
}
