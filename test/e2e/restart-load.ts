import { seededRandom } from '../../src/foundation/random.ts'
import { type AcknowledgedPath, CrashLoad } from '../crash/crash-load.ts'
import { until } from '../fixtures/await-peers.ts'
import type { CachedPath } from '../fixtures/cached-path.ts'
import type { DaemonProcess } from '../fixtures/daemon-process.ts'
import { nix } from '../fixtures/nix-closure.ts'
import { narInfoUrl } from './machines.ts'

/** How many paths the node has to have acknowledged before it is stopped, and Nix's among them. */
const ACKNOWLEDGED_MIN = 8
const PUSHES_MIN = 2

/** All that comes to a node before, while and after it stops: uploads of all kinds, and questions. */
export class RestartLoad {
  readonly #node: DaemonProcess
  readonly #from: string
  readonly #pushes: readonly CachedPath[]
  readonly #crashing: CrashLoad
  readonly #running: Promise<unknown>
  #isOver = false
  #pushed = 0
  /** What the node has said that it holds. */
  readonly acknowledged: AcknowledgedPath[] = []
  /** How it answered for the narinfo of what it holds. */
  readonly answers = new Set<number | 'no connection'>()

  /** Nix pushes the paths from a cache at `from`, one after the other. */
  constructor(node: DaemonProcess, pushes: { from: string; paths: readonly CachedPath[] }) {
    this.#node = node
    this.#from = pushes.from
    this.#pushes = pushes.paths
    let number = 0
    this.#crashing = new CrashLoad({
      node,
      random: seededRandom(5),
      elsewhere: [],
      next: () => number++,
      acknowledged: (path) => this.acknowledged.push(path),
      cleaning: () => undefined,
      cleaned: () => undefined,
    })
    this.#running = Promise.all([this.#crashing.run(), this.#pushAll(), this.#askAgain()])
  }

  /** Resolves once enough was acknowledged. */
  async underWay(): Promise<void> {
    await until(() => this.acknowledged.length >= ACKNOWLEDGED_MIN && this.#pushed >= PUSHES_MIN)
  }

  /** Ends it, once the node is gone. */
  async stop(): Promise<void> {
    this.#isOver = true
    this.#crashing.stop()
    await this.#running
  }

  async #pushAll(): Promise<void> {
    for (const { storePath, narSha256 } of this.#pushes) {
      if (this.#isOver) return
      const path = `${storePath}`
      const isPushed = await pushed(this.#node, this.#from, path).catch(() => false)
      if (!isPushed) continue // the node was stopped meanwhile
      this.acknowledged.push({ storePath: path, narSha256, by: 'gateway' })
      this.#pushed++
    }
  }

  async #askAgain(): Promise<void> {
    while (!this.#isOver) {
      const [held] = this.acknowledged
      const name = held?.storePath ?? `/nix/store/${'0'.repeat(32)}-x`
      const status = await fetch(narInfoUrl(this.#node.gatewayUrl, name)).then(
        async (answer) => {
          await answer.body?.cancel()
          return answer.status
        },
        () => 'no connection' as const,
      )
      if (held !== undefined) this.answers.add(status)
      await new Promise(setImmediate)
    }
  }
}

/** Has Nix put a path of a cache into a node; gives true. @throws where Nix fails */
export async function pushed(node: DaemonProcess, from: string, path: string): Promise<true> {
  const to = `${node.gatewayUrl}?compression=none`
  await nix('nix', ['copy', '--no-check-sigs', '--from', from, '--to', to, path])
  return true
}
