import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { connectNode, type NodeClient, NodeClientError } from '../../src/daemon/client.ts'
import { fixedStorePath } from '../../src/nix/fixed-store-path.ts'
import { parseNarInfo } from '../../src/nix/nar-info.ts'
import { StorePath } from '../../src/nix/store-path.ts'
import { call, noise } from '../fixtures/content.ts'
import type { DaemonProcess } from '../fixtures/daemon-process.ts'
import { directory, file, narOf, type Tree } from '../nar/trees.ts'

/** How many paths are on their way at once. */
const WORKERS = 4

const MIB = 1024 * 1024

/** What a stretch of honest work came to. */
export interface Stretch {
  readonly seconds: number
  readonly paths: number
  readonly bytes: number
  /** Paths that the node could not give. */
  readonly failures: readonly string[]
  /** Milliseconds from the question to the last byte of the slowest path. */
  readonly slowestMs: number
  /** Processor time that both nodes took, in seconds. */
  readonly cpuSeconds: number
}

/**
 * Puts new paths into one node and gets them from the other, again and again, comparing every byte.
 * @throws where a wrong byte comes
 */
export class HonestLoad {
  readonly #from: DaemonProcess
  readonly #to: DaemonProcess
  #next = 0

  constructor(components: { from: DaemonProcess; to: DaemonProcess }) {
    this.#from = components.from
    this.#to = components.to
  }

  async run(ms: number): Promise<Stretch> {
    const begun = performance.now()
    const cpuBefore = this.#cpuSeconds()
    const failures: string[] = []
    let [paths, bytes, slowestMs] = [0, 0, 0]
    using client = connectNode(this.#from.rpc)
    const worker = async (): Promise<void> => {
      while (performance.now() - begun < ms) {
        const number = this.#next++
        const nar = narOf(treeOf(number))
        const storePath = await this.#put(client, `path-${number}`, nar).catch(brokenOff)
        const asked = performance.now()
        const failure =
          typeof storePath === 'string' ? await this.#get(storePath, nar) : storePath.failure
        slowestMs = Math.max(slowestMs, performance.now() - asked)
        if (failure === undefined) {
          paths++
          bytes += nar.length
        } else failures.push(failure)
      }
    }
    await Promise.all(Array.from({ length: WORKERS }, worker))
    const seconds = (performance.now() - begun) / 1000
    const cpuSeconds = this.#cpuSeconds() - cpuBefore
    return { seconds, paths, bytes, failures, slowestMs, cpuSeconds }
  }

  #cpuSeconds(): number {
    return [this.#from, this.#to].reduce((sum, { pid }) => sum + cpuSecondsOf(pid), 0)
  }

  async #put(client: NodeClient, name: string, nar: Buffer): Promise<string> {
    const url = `${this.#from.gatewayUrl}/nar/${name}.nar`
    const answer = await fetch(url, { method: 'PUT', body: nar })
    if (!answer.ok) throw new Error(`the honest upload was refused: ${await answer.text()}`)
    const hash = createHash('sha256').update(nar).digest()
    const { storePath } = await client.import(name, hash, call)
    const expected = fixedStorePath(hash, name).toString()
    if (storePath !== expected) throw new Error(`imported as ${storePath}, not ${expected}`)
    return storePath
  }

  /** Why the path could not be had, undefined where it was. @throws where its bytes are wrong */
  async #get(storePath: string, nar: Buffer): Promise<string | undefined> {
    const { gatewayUrl } = this.#to
    const { hashText } = StorePath.parse(storePath)
    const name = `${gatewayUrl}/${hashText}.narinfo`
    const endMs = performance.now() + NEWS_MS
    let described = await answered(name)
    while (described.status === 404 && performance.now() < endMs) described = await answered(name)
    if (described.status !== 200) return `${storePath}: narinfo ${described.status}`
    const { url } = parseNarInfo(`${described.body}`)
    const { status, body } = await answered(`${gatewayUrl}/${url}`)
    if (status !== 200) return `${storePath}: NAR ${status} ${`${body}`.slice(0, 200)}`
    if (!body.equals(nar)) throw new Error(`${storePath} came with wrong bytes`)
    return undefined
  }
}

/** How long it may take a busy node to hear of what a neighbour has just taken in, in ms. */
const NEWS_MS = 1_000

/** A connection may be refused or cut where the hostile take up all there are. @throws the rest */
function brokenOff(error: unknown): { failure: string } {
  const isConnection = error instanceof NodeClientError ? error.unreachable : isBroken(error)
  if (!isConnection) throw error
  return { failure: `put: ${error}` }
}

/** Whether a fetch found no connection, or lost it. */
function isBroken(error: unknown): boolean {
  return error instanceof TypeError && error.cause !== undefined
}

/** What a gateway answered, or how the connection broke. */
async function answered(url: string): Promise<{ status: number | string; body: Buffer }> {
  try {
    const answer = await fetch(url)
    return { status: answer.status, body: Buffer.from(await answer.arrayBuffer()) }
  } catch (error) {
    if (!isBroken(error)) throw error
    return { status: `${(error as Error).cause}`, body: Buffer.alloc(0) }
  }
}

/** User and system time of a process, by proc(5); a tick is 10 ms wherever Node runs on Linux. */
function cpuSecondsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

/** Mostly small things, now and then a large one, never twice the same. */
function treeOf(number: number): Tree {
  if (number % 20 === 0) return directory({ large: file(noise(8 * MIB, number)) })
  const files = Array.from({ length: 40 }, (_, i) => [
    `f${i}`,
    file(noise(200 + ((i * 7919) % 9000), `${number} ${i}`)),
  ])
  return directory({ ...Object.fromEntries(files), some: file(noise(300_000, `${number}`)) })
}
