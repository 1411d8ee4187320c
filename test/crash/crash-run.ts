import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectNode } from '../../src/daemon/client.ts'
import { type Random, seededRandom } from '../../src/foundation/random.ts'
import { SecretKey } from '../../src/nix/key.ts'
import { call, noise } from '../fixtures/content.ts'
import { type DaemonProcess, startDaemon } from '../fixtures/daemon-process.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { directory, file, narOf } from '../nar/trees.ts'
import { type AcknowledgedPath, CrashLoad, faultOf, sha256, WAYS_IN } from './crash-load.ts'

/** After so many kills the paths that are beyond it are let go, so that the store stays small. */
const KILLS_PER_CLEARING = 20

/** How large the store may be after that, in bytes. */
const CLEARED_BYTES = 100 * 1024 * 1024

/** How many of the older paths are read after each kill; all of them are before a clearing. */
const OLDER_READ = 10

/** How many paths the neighbour has. */
const PATHS_ELSEWHERE = 40

/** What killing a node again and again came to. */
export interface CrashReport {
  readonly kills: number
  /** Why each kill came when it did: how often. */
  readonly reasons: Readonly<Record<string, number>>
  /** Paths that the node had said it holds, by the way in that they took. */
  readonly acknowledged: Readonly<Record<string, number>>
  /** How often a path was read back. */
  readonly reads: number
  /** Whole verifications of the store. */
  readonly verifications: number
  /** Clean-ups that came to their end, and the segments that these compacted away. */
  readonly cleanUps: number
  readonly compactions: number
  /** How long the node took until it answered, at the worst, in milliseconds. */
  readonly slowestStartMs: number
  /** What was not as it has to be. */
  readonly faults: readonly string[]
}

/**
 * Kills a node under load at points that a seed chooses, starts it again on the same state, and
 * reads back what it had acknowledged. The seed decides what is put and when it is killed, counted
 * in acknowledgements and milliseconds; what the machine makes of that varies.
 */
export async function crashRun(
  { kills, seed }: { readonly kills: number; readonly seed: number },
  told: (words: string) => void = () => undefined,
): Promise<CrashReport> {
  await using space = await temporaryDirectory()
  const key = SecretKey.generate('here-1')
  const keyFile = join(space.path, 'key')
  await writeFile(keyFile, key.toString(), { mode: 0o600 })
  const signing = ['--no-mdns', '--signing-key', keyFile]
  await using neighbour = await startDaemon({ args: signing })
  const elsewhere = await filled(neighbour)
  const state = join(space.path, 'state')
  const args = [...signing, '--bootstrap', neighbour.listen, '--state', state]
  const run = new CrashRun({ random: seededRandom(seed), elsewhere, args, told })
  for (let i = 0; i < kills; i++) await run.life(i)
  await neighbour.kill() // nobody helps out where something is missing
  return await run.end()
}

class CrashRun {
  readonly #random: Random
  readonly #elsewhere: readonly { storePath: string; narSha256: Buffer }[]
  readonly #args: readonly string[]
  readonly #told: (words: string) => void
  readonly #held = new Map<string, AcknowledgedPath>()
  readonly #faults: string[] = []
  readonly #reasons: Record<string, number> = {}
  readonly #acknowledged: Record<string, number> = Object.fromEntries(WAYS_IN.map((it) => [it, 0]))
  #fresh: AcknowledgedPath[] = []
  #kills = 0
  #reads = 0
  #verifications = 0
  #cleanUps = 0
  #compactions = 0
  #slowestStartMs = 0
  #number = 0

  constructor(parts: {
    random: Random
    elsewhere: readonly { storePath: string; narSha256: Buffer }[]
    args: readonly string[]
    told: (words: string) => void
  }) {
    this.#random = parts.random
    this.#elsewhere = parts.elsewhere
    this.#args = parts.args
    this.#told = parts.told
  }

  /** Starts the node, reads back, puts load on it, and kills it. */
  async life(number: number): Promise<void> {
    await using node = await this.#start()
    const isClearing = number > 0 && number % KILLS_PER_CLEARING === 0
    await this.#readBack(node, isClearing ? this.#held.size : OLDER_READ)
    if (isClearing) await this.#clear(node)
    const reason = await this.#killUnderLoad(node)
    this.#kills++
    this.#reasons[reason] = (this.#reasons[reason] ?? 0) + 1
    const words = `${this.#fresh.length} paths acknowledged, ${this.#faults.length} faults so far`
    this.#told(`kill ${this.#kills} ${reason}: ${words}`)
  }

  /** Starts it once more, and looks at everything. */
  async end(): Promise<CrashReport> {
    await using node = await this.#start()
    await this.#readBack(node, this.#held.size)
    await this.#verify(node)
    return {
      kills: this.#kills,
      reasons: this.#reasons,
      acknowledged: this.#acknowledged,
      reads: this.#reads,
      verifications: this.#verifications,
      cleanUps: this.#cleanUps,
      compactions: this.#compactions,
      slowestStartMs: Math.round(this.#slowestStartMs),
      faults: this.#faults,
    }
  }

  async #start(): Promise<DaemonProcess> {
    const begun = performance.now()
    const node = await startDaemon({ args: this.#args })
    this.#slowestStartMs = Math.max(this.#slowestStartMs, performance.now() - begun)
    return node
  }

  async #readBack(node: DaemonProcess, older: number): Promise<void> {
    const known = [...this.#held.values()]
    const some = older >= known.length ? known : this.#some(known, older)
    for (const path of new Set([...this.#fresh, ...some])) {
      this.#reads++
      const fault = await faultOf(node, path)
      if (fault !== undefined) this.#tellFault(fault)
    }
    this.#fresh = []
  }

  #tellFault(what: string): void {
    const fault = `after kill ${this.#kills}: ${what}`
    this.#faults.push(fault)
    this.#told(fault)
  }

  #some<T>(items: readonly T[], count: number): T[] {
    return Array.from({ length: count }, () => items[this.#random.integer(items.length)]!)
  }

  async #verify(node: DaemonProcess): Promise<void> {
    using client = connectNode(node.rpc)
    for await (const { fault } of client.verify({ isRepair: false }, call)) {
      if (fault !== undefined) this.#tellFault(`verify: ${fault.phase} ${fault.what}`)
    }
    this.#verifications++
  }

  /** Verifies all, and lets the least used paths go. */
  async #clear(node: DaemonProcess): Promise<void> {
    await this.#verify(node)
    using client = connectNode(node.rpc)
    const init = { isDryRun: false, isNow: true, maxBytes: CLEARED_BYTES }
    const { paths } = await client.cleanUp(init, call)
    for (const { storePath } of paths) this.#held.delete(storePath)
  }

  async #killUnderLoad(node: DaemonProcess): Promise<string> {
    let count = 0
    const counted = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    const ended = Promise.withResolvers<void>()
    const after = 1 + this.#random.integer(20)
    const load = new CrashLoad({
      node,
      random: this.#random,
      elsewhere: this.#elsewhere,
      next: () => this.#number++,
      acknowledged: (path) => {
        if (!this.#held.has(path.storePath)) this.#acknowledged[path.by]!++
        this.#held.set(path.storePath, path)
        this.#fresh.push(path)
        if (++count === after) counted.resolve()
      },
      cleaning: () => begun.resolve(),
      cleaned: (segments) => {
        this.#cleanUps++
        this.#compactions += segments
        ended.resolve()
      },
    })
    const [reason, event] = [
      ['after some time', Promise.resolve()],
      [`after acknowledgements`, counted.promise],
      ['during a clean-up', begun.promise],
      ['after a clean-up', ended.promise],
    ][this.#random.integer(4)] as [string, Promise<void>]
    const jitterMs = this.#random.integer(reason === 'after some time' ? 1500 : 120)
    const running = load.run()
    await Promise.race([event, sleep(10_000)])
    await sleep(jitterMs)
    await node.kill()
    load.stop()
    await running
    return reason
  }
}

async function filled(node: DaemonProcess): Promise<{ storePath: string; narSha256: Buffer }[]> {
  using client = connectNode(node.rpc)
  const paths: { storePath: string; narSha256: Buffer }[] = []
  for (let i = 0; i < PATHS_ELSEWHERE; i++) {
    const content = noise(1 + ((i * 7919 * 31) % 1_500_000), `elsewhere ${i}`)
    const nar = narOf(directory({ content: file(content) }))
    const url = `${node.gatewayUrl}/nar/elsewhere-${i}.nar`
    const answer = await fetch(url, { method: 'PUT', body: nar })
    if (!answer.ok) throw new Error(`the neighbour takes nothing: ${await answer.text()}`)
    const { storePath } = await client.import(`elsewhere-${i}`, sha256(nar), call)
    paths.push({ storePath, narSha256: sha256(nar) })
  }
  return paths
}
