import { Presets, SingleBar } from 'cli-progress'
import { formatBytes, formatCount, formatDuration } from './units.ts'

/** How far a transfer has got; what is not known is left out. */
export interface TransferState {
  readonly bytesDone: number
  readonly bytesTotal?: number
  readonly bytesFetched?: number
  readonly filesDone?: number
  readonly filesTotal?: number
  readonly pathsDone?: number
  readonly pathsTotal?: number
  readonly peers?: number
}

/** A bar on the terminal's last line; nothing at all where standard error is no terminal. */
export class TransferBar implements Disposable {
  readonly #bar: SingleBar
  readonly #startedMs = Date.now()
  #begun = false

  constructor() {
    const format = '{bar} {amounts}'
    const options = { format, stream: process.stderr, clearOnComplete: true, hideCursor: true }
    this.#bar = new SingleBar({ ...options, noTTYOutput: false, fps: 10 }, Presets.shades_classic)
  }

  update(state: TransferState): void {
    if (!process.stderr.isTTY) return
    const total = Math.max(state.bytesTotal ?? state.bytesDone, 1)
    const payload = { amounts: amountsOf(state, Date.now() - this.#startedMs) }
    if (!this.#begun) this.#bar.start(total, state.bytesDone, payload)
    this.#begun = true
    this.#bar.setTotal(total)
    this.#bar.update(state.bytesDone, payload)
  }

  [Symbol.dispose](): void {
    if (this.#begun) this.#bar.stop()
    this.#begun = false
  }
}

function amountsOf(state: TransferState, elapsedMs: number): string {
  const { bytesDone, bytesTotal, bytesFetched, filesDone, filesTotal } = state
  const moved = bytesFetched ?? bytesDone
  const rate = moved / Math.max(elapsedMs / 1000, 0.001)
  const parts = [
    bytesTotal === undefined
      ? formatBytes(bytesDone)
      : `${formatBytes(bytesDone)} of ${formatBytes(bytesTotal)}`,
  ]
  if (state.pathsTotal !== undefined) {
    parts.push(`${formatCount(state.pathsDone ?? 0)}/${formatCount(state.pathsTotal)} paths`)
  }
  if (filesTotal !== undefined) {
    parts.push(`${formatCount(filesDone ?? 0)}/${formatCount(filesTotal)} files`)
  }
  if (state.peers !== undefined) parts.push(`${state.peers} peers`)
  parts.push(`${formatBytes(rate)}/s`)
  if (bytesTotal !== undefined && rate > 0 && bytesDone < bytesTotal) {
    parts.push(`${formatDuration(((bytesTotal - bytesDone) / rate) * 1000)} left`)
  }
  return parts.join(' · ')
}
