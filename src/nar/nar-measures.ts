import { encodeRoot } from '../castore/model/directory-codec.ts'
import type { Node } from '../castore/model/node.ts'
import type { Call } from '../foundation/call.ts'
import { Semaphore } from '../foundation/semaphore.ts'
import { SingleFlight } from '../foundation/single-flight.ts'
import { measureNar, type NarMeasure } from './measure-nar.ts'
import type { NarSource } from './render-nar.ts'

/** Of how many roots the measure is remembered: about 2 MiB. */
export const NAR_MEASURES_MAX = 16_384

/** How many NARs are measured at once. */
export const MEASURING_MAX = 4

/** How {@link NarMeasures} is tuned. */
export interface NarMeasuresInit {
  /** {@link NAR_MEASURES_MAX} by default. */
  readonly rememberedMax?: number
}

/**
 * Measures the NARs of nodes, each once: content under a digest never changes, and so neither does
 * its NAR. It says nothing of whether the content is still held. Failures are not remembered.
 */
export class NarMeasures {
  readonly #from: NarSource
  readonly #rememberedMax: number
  readonly #known = new Map<string, NarMeasure>()
  readonly #measuring = new SingleFlight<NarMeasure>()
  readonly #room = new Semaphore(MEASURING_MAX)

  constructor(components: { from: NarSource }, init: NarMeasuresInit = {}) {
    this.#from = components.from
    this.#rememberedMax = init.rememberedMax ?? NAR_MEASURES_MAX
  }

  /** Size and hash of a node's NAR. @throws what {@link measureNar} throws */
  async measure(node: Node, call: Call): Promise<NarMeasure> {
    const key = Buffer.from(encodeRoot(node)).toString('latin1')
    const known = this.#known.get(key)
    if (known === undefined) {
      return await this.#measuring.run(key, (shared) => this.#measure(key, node, shared), call)
    }
    this.#remember(key, known)
    return known
  }

  async #measure(key: string, node: Node, call: Call): Promise<NarMeasure> {
    using _room = await this.#room.acquire(1, call)
    const measure = await measureNar(node, this.#from, call)
    this.#remember(key, measure)
    return measure
  }

  /** As the latest one; the one that was wanted least recently goes. */
  #remember(key: string, measure: NarMeasure): void {
    this.#known.delete(key)
    this.#known.set(key, measure)
    if (this.#known.size <= this.#rememberedMax) return
    const oldest = this.#known.keys().next().value
    if (oldest !== undefined) this.#known.delete(oldest)
  }
}
