import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectNode, type NodeClient } from '../../src/daemon/client.ts'
import type { Random } from '../../src/foundation/random.ts'
import { systemClock } from '../../src/foundation/system-clock.ts'
import { ingestNar } from '../../src/nar/ingest-nar.ts'
import { renderNarInfo } from '../../src/nix/nar-info.ts'
import { StorePath } from '../../src/nix/store-path.ts'
import { remoteCastore } from '../../src/rpc/remote/remote-castore.ts'
import { RemoteChannel } from '../../src/rpc/remote/remote-channel.ts'
import { RemotePathInfoStore } from '../../src/rpc/remote/remote-path-info-store.ts'
import { ownClaim, pathInfoOf, pathNamed } from '../fixtures/claims.ts'
import { call, noise } from '../fixtures/content.ts'
import type { DaemonProcess } from '../fixtures/daemon-process.ts'
import { directory, file, narOf, type Tree } from '../nar/trees.ts'

const MIB = 1024 * 1024

/** A path that a node has said it holds, and the SHA-256 of its NAR. */
export interface AcknowledgedPath {
  readonly storePath: string
  readonly narSha256: Buffer
  readonly by: WayIn
}

/** The ways by which a path comes to a node. */
export const WAYS_IN = ['import', 'gateway', 'grpc', 'fetch'] as const

export type WayIn = (typeof WAYS_IN)[number]

/** What the load works with. */
export interface LoadComponents {
  readonly node: DaemonProcess
  readonly random: Random
  /** Paths that only the neighbour has: to be fetched. */
  readonly elsewhere: readonly { readonly storePath: string; readonly narSha256: Buffer }[]
  /** Told of each path when the node has said that it holds it. */
  acknowledged(path: AcknowledgedPath): void
  /** Told when a clean-up begins. */
  cleaning(): void
  /** Told when it has ended, and how many segments it compacted away. */
  cleaned(segments: number): void
  /** A number that nothing else was made from. */
  next(): number
}

/** All that comes to a node at once, until the node is gone. */
export class CrashLoad {
  readonly #parts: LoadComponents
  readonly #client: NodeClient
  readonly #channel: RemoteChannel
  #isOver = false

  constructor(components: LoadComponents) {
    this.#parts = components
    const { rpc } = components.node
    this.#client = connectNode(rpc)
    this.#channel = new RemoteChannel({ clock: systemClock }, { address: rpc })
  }

  /** Resolves when all have noticed that the node is gone. */
  async run(): Promise<void> {
    await Promise.all([
      this.#again(() => this.#import()),
      this.#again(() => this.#gateway()),
      this.#again(() => this.#grpc()),
      this.#again(() => this.#fetch()),
      this.#again(() => this.#leaveRubbish()),
      this.#again(() => this.#cleanUp()),
    ])
  }

  /** Says that the node is being killed. */
  stop(): void {
    this.#isOver = true
    this.#client[Symbol.dispose]()
    this.#channel[Symbol.dispose]()
  }

  async #again(work: () => Promise<void>): Promise<void> {
    while (!this.#isOver) {
      // What fails is not acknowledged: because of the kill, or since a clean-up took the content
      // that nothing referred to yet, which owners who ask for it at once risk.
      await work().catch(() => sleep(5))
    }
  }

  async #import(): Promise<void> {
    const name = `import-${this.#parts.next()}`
    const nar = narOf(this.#tree())
    await this.#upload(name, nar)
    const { storePath } = await this.#client.import(name, sha256(nar), call)
    this.#parts.acknowledged({ storePath, narSha256: sha256(nar), by: 'import' })
  }

  async #gateway(): Promise<void> {
    const name = `gateway-${this.#parts.next()}`
    const nar = narOf(this.#tree())
    await this.#upload(name, nar)
    const storePath = pathNamed(name)
    const about = { storePath, url: `nar/${name}.nar`, compression: 'none', references: [] }
    const narSha256 = sha256(nar)
    const body = renderNarInfo({ ...about, narSha256, narSize: nar.length, signatures: [] })
    await this.#put(`${storePath.hashText}.narinfo`, body)
    this.#parts.acknowledged({ storePath: storePath.toString(), narSha256, by: 'gateway' })
  }

  async #grpc(): Promise<void> {
    const name = `grpc-${this.#parts.next()}`
    const nar = narOf(this.#tree())
    const ingested = await ingestNar(once(nar), remoteCastore({ channel: this.#channel }), call)
    const pathInfo = pathInfoOf(name, { ...ingested, references: [] })
    await new RemotePathInfoStore({ channel: this.#channel }).put([ownClaim(pathInfo)], call)
    const storePath = pathInfo.storePath.toString()
    this.#parts.acknowledged({ storePath, narSha256: sha256(nar), by: 'grpc' })
  }

  async #fetch(): Promise<void> {
    const { elsewhere, random, acknowledged } = this.#parts
    const wanted = elsewhere[random.integer(elsewhere.length)]!
    for await (const { outcome } of this.#client.fetch(
      [wanted.storePath],
      { closure: false },
      call,
    )) {
      if (outcome === undefined || outcome.error !== undefined) continue
      acknowledged({ ...wanted, by: 'fetch' })
    }
    await sleep(20)
  }

  /** Content that nothing will refer to: what a clean-up removes, and compacts away. */
  async #leaveRubbish(): Promise<void> {
    const number = this.#parts.next()
    await this.#upload(`rubbish-${number}`, narOf(file(noise(4 * MIB, `rubbish ${number}`))))
    await sleep(100)
  }

  async #cleanUp(): Promise<void> {
    await sleep(this.#parts.random.integer(400))
    this.#parts.cleaning()
    const { segments } = await this.#client.cleanUp({ isDryRun: false, isNow: true }, call)
    this.#parts.cleaned(segments)
  }

  async #upload(name: string, nar: Buffer): Promise<void> {
    await this.#put(`nar/${name}.nar`, nar)
  }

  async #put(path: string, body: Buffer | string): Promise<void> {
    const answer = await fetch(`${this.#parts.node.gatewayUrl}/${path}`, { method: 'PUT', body })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${answer.status} ${text}`)
  }

  /** Small and large files, of which other paths have some, too. */
  #tree(): Tree {
    const { random, next } = this.#parts
    const large = random.integer(8) === 0 ? 2 * MIB : 20_000
    const files = Array.from({ length: random.integer(12) }, (_, i) => {
      const seed = random.integer(60)
      return [`f${i}`, file(noise(seed * 300, `shared ${seed}`))] as const
    })
    const own = file(noise(1 + random.integer(large), `own ${next()}`))
    return directory({ ...Object.fromEntries(files), own })
  }
}

/** Why a path that was acknowledged does not read back; undefined where it does. */
export async function faultOf(
  node: DaemonProcess,
  { storePath, narSha256, by }: AcknowledgedPath,
): Promise<string | undefined> {
  const { hashText } = StorePath.parse(storePath)
  const described = await fetch(`${node.gatewayUrl}/${hashText}.narinfo`)
  const text = await described.text()
  if (!described.ok) return `${storePath} (${by}): narinfo ${described.status}`
  const url = /^URL: (.*)$/m.exec(text)?.[1]
  const answer = await fetch(`${node.gatewayUrl}/${url}`)
  const nar = Buffer.from(await answer.arrayBuffer())
  if (!answer.ok) return `${storePath} (${by}): NAR ${answer.status}`
  return sha256(nar).equals(narSha256) ? undefined : `${storePath} (${by}): another NAR`
}

/** The SHA-256 of a NAR. */
export function sha256(nar: Uint8Array): Buffer {
  return createHash('sha256').update(nar).digest()
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
