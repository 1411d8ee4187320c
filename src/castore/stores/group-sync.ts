/**
 * Brings things to stable storage, one time after the other. All who ask while one is under way
 * share the next, which covers what they put before: thousands of small puts cost few syncs.
 */
export class GroupSync {
  readonly #work: (isLasting: boolean) => Promise<void>
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined
  #isLasting = false
  #failure: unknown

  constructor(components: { readonly work: (isLasting: boolean) => Promise<void> }) {
    this.#work = components.work
  }

  /** Whether a sync that nobody waited for has failed, and none has been asked for since. */
  get hasFailed(): boolean {
    return this.#failure !== undefined
  }

  /** Resolves once all that was put before is stored; with `isLasting` what is derived, too. */
  run(isLasting = false): Promise<void> {
    this.#failure = undefined
    return this.#run(isLasting)
  }

  /** Begins one in the background, unless one is under way. */
  begin(): void {
    if (this.#running !== undefined || this.#next !== undefined) return
    this.#run(false).catch((error) => {
      this.#failure = error // the next put tries again and tells
    })
  }

  #run(isLasting: boolean): Promise<void> {
    this.#isLasting ||= isLasting
    // Between the end of one and the begin of the next that waits for it none is running.
    if (this.#next !== undefined) return this.#next
    if (this.#running === undefined) return this.#begin()
    this.#next = this.#running
      .catch(() => undefined) // told to those who waited for that one
      .then(() => {
        this.#next = undefined
        return this.#begin()
      })
    return this.#next
  }

  #begin(): Promise<void> {
    const isLasting = this.#isLasting
    this.#isLasting = false
    const running = this.#work(isLasting).finally(() => {
      this.#running = undefined
    })
    this.#running = running
    return running
  }
}
