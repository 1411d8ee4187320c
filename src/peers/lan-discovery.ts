import { mdns } from '@libp2p/mdns'
import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Service } from '../foundation/service.ts'

/** The name that nodes look for each other by on the local network. */
const MDNS_SERVICE = '_cairn._udp.local'

/**
 * How often a node asks the local network who is there. All answer, and all hear every answer: with
 * 20 nodes one question each is 170 kB for every one of them, with 50 six times that.
 */
const MDNS_INTERVAL_MS = 3_600_000

/** How often a node asks that is connected with nobody: the network may have come up after it. */
const ALONE_INTERVAL_MS = 20_000

type MakeMdns = ReturnType<typeof mdns>

/** What of libp2p's mDNS is needed, which it does not say by its type. */
interface Asker {
  readonly mdns?: { query(question: { questions: { name: string; type: 'PTR' }[] }): void }
}

/** Looks for neighbours on the local network: at the start, rarely after, and often while alone. */
export class LanDiscovery implements Service {
  readonly name = 'LAN discovery'
  readonly #clock: Clock
  readonly #isAlone: () => boolean
  readonly #stopping = new AbortController()
  #asker: Asker | undefined
  #asking: Promise<void> = Promise.resolve()

  constructor(components: { clock: Clock; isAlone: () => boolean }) {
    this.#clock = components.clock
    this.#isAlone = components.isAlone
  }

  /** The part of it that libp2p runs. */
  readonly peerDiscovery: MakeMdns = (components) => {
    const made = mdns({ interval: MDNS_INTERVAL_MS, serviceTag: MDNS_SERVICE })(components)
    this.#asker = made as Asker
    return made
  }

  async start(): Promise<void> {
    this.#asking = this.#askWhileAlone({ signal: this.#stopping.signal })
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopping'))
    await this.#asking
  }

  async #askWhileAlone(call: Call): Promise<void> {
    while (!call.signal.aborted) {
      await this.#clock.sleep(ALONE_INTERVAL_MS, call).catch(() => undefined) // stopping
      if (call.signal.aborted || !this.#isAlone()) continue
      this.#asker?.mdns?.query({ questions: [{ name: MDNS_SERVICE, type: 'PTR' }] })
    }
  }
}
