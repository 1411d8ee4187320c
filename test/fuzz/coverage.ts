import { Session } from 'node:inspector/promises'
import { pathToFileURL } from 'node:url'

const SRC = pathToFileURL(`${import.meta.dirname}/../../src/`).href

/** Watches which blocks of src/ run, by V8's own counters. */
export class Coverage implements AsyncDisposable {
  readonly #session = new Session()
  readonly #seen = new Set<string>()

  static async begin(): Promise<Coverage> {
    const coverage = new Coverage()
    const session = coverage.#session
    session.connect()
    await session.post('Profiler.enable')
    await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
    return coverage
  }

  /** How many blocks have run so far. */
  get blocks(): number {
    return this.#seen.size
  }

  /** Whether blocks have run since the last look that had never run before. */
  async grew(): Promise<boolean> {
    const before = this.#seen.size
    const { result } = await this.#session.post('Profiler.takePreciseCoverage')
    for (const { url, functions } of result) {
      if (!url.startsWith(SRC)) continue
      for (const { ranges } of functions) {
        for (const { startOffset, endOffset, count } of ranges) {
          if (count > 0) this.#seen.add(`${url}:${startOffset}:${endOffset}:${bucket(count)}`)
        }
      }
    }
    return this.#seen.size > before
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.post('Profiler.stopPreciseCoverage')
    this.#session.disconnect()
  }
}

/** Once, some times or many times: loops that run more often are somewhere new as well. */
function bucket(count: number): number {
  return count === 1 ? 0 : count < 16 ? 1 : 2
}
