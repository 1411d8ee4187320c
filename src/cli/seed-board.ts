import { MultiBar, Presets, type SingleBar } from 'cli-progress'
import type { SeedReport } from '../daemon/client.ts'
import { formatBytes, formatCount, formatCounted } from './units.ts'

/** How many neighbours have a line of their own on a terminal. */
const LINES_MAX = 16

/**
 * Shows how paths spread: on a terminal a bar for each neighbour, kept up to date; elsewhere a line
 * whenever more of them have everything, or JSON.
 */
export class SeedBoard implements Disposable {
  readonly #json: boolean
  readonly #bars: MultiBar
  readonly #lines = new Map<string, SingleBar>()
  #last = ''

  constructor(init: { readonly json: boolean }) {
    this.#json = init.json
    const format = '{bar} {words}'
    const options = { format, stream: process.stderr, hideCursor: true, clearOnComplete: false }
    this.#bars = new MultiBar({ ...options, noTTYOutput: false, fps: 4 }, Presets.shades_classic)
  }

  show(report: SeedReport): void {
    if (this.#json) process.stdout.write(`${JSON.stringify(report)}\n`)
    else if (process.stderr.isTTY) this.#draw(report)
    else this.#tell(report)
  }

  [Symbol.dispose](): void {
    this.#bars.stop()
  }

  #draw(report: SeedReport): void {
    const { holders, pathsTotal } = report
    const listed = holders.slice(0, LINES_MAX)
    this.#bar('', Math.max(holders.length, 1), complete(report), summary(report))
    for (const { peer, pathsHeld, sendRate } of listed) {
      const rate = sendRate > 0 ? ` · ${formatBytes(sendRate)}/s out` : ''
      const words = `${peer.slice(-8)} · ${formatCount(pathsHeld)}/${formatCount(pathsTotal)} paths`
      this.#bar(peer, pathsTotal, pathsHeld, words + rate)
    }
    const left = [...this.#lines.keys()].filter(
      (key) => key !== '' && listed.every(({ peer }) => peer !== key),
    )
    for (const key of left) {
      this.#bars.remove(this.#lines.get(key)!)
      this.#lines.delete(key)
    }
  }

  #bar(key: string, total: number, value: number, words: string): void {
    const known = this.#lines.get(key)
    if (known === undefined) this.#lines.set(key, this.#bars.create(total, value, { words }))
    known?.setTotal(total)
    known?.update(value, { words })
  }

  #tell(report: SeedReport): void {
    const words = `${formatCount(complete(report))} of ${neighbours(report)} have everything`
    if (words !== this.#last) process.stdout.write(`${words}\n`)
    this.#last = words
  }
}

function summary(report: SeedReport): string {
  const out = report.holders.reduce((sum, { sendRate }) => sum + sendRate, 0)
  const size = `${formatCounted(report.pathsTotal, 'path')}, ${formatBytes(report.bytesTotal)}`
  const have = `${formatCount(complete(report))} of ${neighbours(report)} have them`
  return `${size} · ${have} · ${formatBytes(out)}/s out`
}

function neighbours({ holders }: SeedReport): string {
  return `${formatCount(holders.length)} neighbours`
}

/** How many neighbours have everything. */
export function complete({ holders, pathsTotal }: SeedReport): number {
  return holders.filter(({ pathsHeld }) => pathsHeld === pathsTotal).length
}
