/**
 * Abort signals that cost a hundredth of Node's: worlds make millions. What production code can see
 * of a signal is the same. A signal of others listens to them only while somebody listens to it, so
 * that one that is forgotten leaves nothing behind.
 */
export class LightSignal {
  readonly #sources: readonly LightSignal[]
  readonly #listeners = new Set<() => void>()
  readonly #tell = (): void => this.tell()
  #reason: unknown
  #isAborted = false

  constructor(sources: readonly LightSignal[] = []) {
    this.#sources = sources
  }

  get aborted(): boolean {
    if (this.#isAborted) return true
    for (let i = 0; i < this.#sources.length; i++) {
      const source = this.#sources[i]!
      if (!source.aborted) continue
      this.#end(source.reason)
      return true
    }
    return false
  }

  get reason(): unknown {
    return this.aborted ? this.#reason : undefined
  }

  throwIfAborted(): void {
    if (this.aborted) throw this.#reason
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    if (this.aborted) return
    this.#listeners.add(listener)
    if (this.#listeners.size > 1) return
    for (const source of this.#sources) source.addEventListener('abort', this.#tell)
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    if (!this.#listeners.delete(listener) || this.#listeners.size > 0) return
    for (const source of this.#sources) source.removeEventListener('abort', this.#tell)
  }

  /** It is aborted, or one that it listens to is. */
  tell(reason?: unknown): void {
    if (!this.aborted) this.#end(reason)
    const listeners = [...this.#listeners]
    for (const listener of listeners) this.removeEventListener('abort', listener)
    for (const listener of listeners) listener()
  }

  #end(reason: unknown): void {
    this.#isAborted = true
    this.#reason = reason
  }
}

/** The reason where none is given: one for all, because a stack trace for each takes long. */
const UNREASONED = new DOMException('This operation was aborted', 'AbortError')

/** What makes them. */
export class LightController {
  readonly signal = new LightSignal()

  abort(reason: unknown = UNREASONED): void {
    if (!this.signal.aborted) this.signal.tell(reason)
  }
}

/** Has everybody use light signals until it is disposed of. Only worlds may run meanwhile. */
export function lightAborts(): Disposable {
  const { AbortController, AbortSignal } = globalThis
  const any = (signals: readonly LightSignal[]): LightSignal => new LightSignal(signals)
  Object.assign(globalThis, { AbortController: LightController, AbortSignal: { any } })
  return {
    [Symbol.dispose]: () => void Object.assign(globalThis, { AbortController, AbortSignal }),
  }
}
