import type { Call } from '../../foundation/call.ts'
import { type Random, shuffled } from '../../foundation/random.ts'
import { PeerError } from '../peer-error.ts'
import type { PeerLedger } from '../standing/peer-ledger.ts'

/**
 * Asks holders, prompt ones first, then welcome ones, and otherwise in random order, until `ask`
 * says that nothing is left to ask for. A holder's failure leads to the next; other errors are
 * thrown. Says whether everything came, and the last failure.
 */
export async function askInTurn(
  holders: Iterable<string>,
  components: { ledger: PeerLedger; random: Random },
  ask: (peer: string) => Promise<'enough' | 'more'>,
  call: Call,
): Promise<{ readonly whole: boolean; readonly failure: unknown }> {
  const asked = new Set<string>()
  let failure: unknown
  for (;;) {
    const peer = nextHolder(holders, asked, components)
    if (peer === undefined) return { whole: false, failure }
    asked.add(peer)
    try {
      if ((await ask(peer)) === 'enough') return { whole: true, failure }
    } catch (error) {
      call.signal.throwIfAborted()
      if (!(error instanceof PeerError)) throw error
      failure = error
    }
  }
}

/** Looked up anew for every turn: holders may come, and fall from grace, meanwhile. */
function nextHolder(
  holders: Iterable<string>,
  asked: ReadonlySet<string>,
  { ledger, random }: { ledger: PeerLedger; random: Random },
): string | undefined {
  const left = shuffled([...holders], random).filter((peer) => !asked.has(peer))
  return (
    left.find((peer) => ledger.isPrompt(peer)) ??
    left.find((peer) => ledger.standing(peer) === 'welcome') ??
    left.find((peer) => ledger.standing(peer) === 'idle')
  )
}
