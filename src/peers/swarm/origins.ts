import type { Call } from '../../foundation/call.ts'
import type { Clock } from '../../foundation/clock.ts'
import type { Digest } from '../../foundation/digest.ts'
import { waitUpTo } from '../../foundation/wait-up-to.ts'
import { type Availability, type Division, KEEPALIVE_MS, NEWS_MS } from './availability.ts'

/**
 * Who is fetching what is here whole. All of them are told how many they are and which of them
 * each is, so that they can divide the work without asking each other, or even knowing each other.
 */
export class Origins {
  readonly #clock: Clock
  /** By root, those who fetch it, by their ids. */
  readonly #members = new Map<string, Map<string, Member>>()

  constructor(components: { clock: Clock }) {
    this.#clock = components.clock
  }

  /** Tells a peer that all is here, and how the work is divided, again whenever that changes. */
  async *watch(peer: string, root: Digest, call: Call): AsyncGenerator<Availability> {
    const members = this.#members.get(root.hex) ?? new Map<string, Member>()
    this.#members.set(root.hex, members)
    const member = new Member()
    members.set(peer, member)
    tellAll(members)
    try {
      for (;;) {
        yield { complete: true, ...(member.division && { division: member.division }) }
        await this.#untilNews(member, call)
      }
    } finally {
      if (members.get(peer) === member) members.delete(peer)
      if (members.size === 0) this.#members.delete(root.hex)
      tellAll(members)
    }
  }

  async #untilNews(member: Member, call: Call): Promise<void> {
    await waitUpTo(this.#clock, KEEPALIVE_MS, member.news, call)
    await this.#clock.sleep(NEWS_MS, call) // others come and go at the same time
    member.told()
  }
}

/** One who is fetching. */
class Member {
  division: Division | undefined
  #changed = Promise.withResolvers<void>()

  get news(): Promise<void> {
    return this.#changed.promise
  }

  tell(division: Division): void {
    this.division = division
    this.#changed.resolve()
  }

  told(): void {
    this.#changed = Promise.withResolvers<void>()
  }
}

/** Ranks follow the ids, so that several who have everything divide the work alike. */
function tellAll(members: ReadonlyMap<string, Member>): void {
  const ids = [...members.keys()].sort()
  for (const [rank, id] of ids.entries()) members.get(id)!.tell({ members: ids.length, rank })
}
