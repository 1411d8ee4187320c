import { type BadGuest, type BadNodeKind, invite } from '../bad-guest.ts'
import { makeBlob } from '../content.ts'
import { medianRace, race } from '../race.ts'
import { raceFigures, type Scenario, setting, verdict } from '../report.ts'
import { type World, within } from '../world.ts'
import { atOnce, plantedWorld } from './at-once.ts'

const GUESTS: readonly BadNodeKind[] = ['liar', 'liar', 'black hole']

/** How many more nodes than the others this has by default: ten, three of them bad. */
const MORE_NODES = 2

/** How long the guests may take to be known to all, and how long bans may take. */
const KNOWN_MS = 20_000
const BANNED_MS = 5_000

export const hostile: Scenario = {
  what: 'as `blob`, two nodes more; two of all lie, and one takes requests and never answers',
  run: async (options) => {
    const nodes = options.nodes + MORE_NODES
    const honest = { ...options, nodes: nodes - GUESTS.length }
    const calm = await atOnce(honest, makeBlob)
    const bans: Bans[] = []
    let where = ''
    let harm = ''
    const beset = await medianRace(options.runs, async () => {
      await using planted = await plantedWorld(honest, makeBlob, GUESTS.length)
      const { world, content, storePath } = planted
      const invited = GUESTS.map((kind, i) => invite(world, honest.nodes + i, kind, storePath))
      const guests = await Promise.all(invited)
      await known(world, guests)
      const one = await race(world, planted)
      bans.push(await bansOf(world, guests))
      where = setting(nodes, content, options)
      harm = guests.map(({ kind, harmed }) => `${kind} ${harmed.size}`).join(', ')
      return { ...one, wrong: [...one.wrong, ...bans.at(-1)!.wrong] }
    })
    const wrong = [...calm.race.wrong, ...beset.wrong]
    const ratio = (beset.seconds / calm.race.seconds).toFixed(2)
    const sum = (of: 'liedTo' | 'banned') => bans.reduce((all, one) => all + one[of], 0)
    const line =
      `${where}: ${raceFigures(beset, calm.content, honest)}, ` +
      `${ratio} × the honest ones alone (${calm.race.seconds.toFixed(2)} s), ` +
      `peers harmed by ${harm}, ${sum('banned')} of ${sum('liedTo')} lied to banned the liar, ` +
      verdict(wrong)
    return { line, wrong }
  },
}

/** Waits until every fetcher is connected with every guest. @throws where that takes too long */
async function known(world: World, guests: readonly BadGuest[]): Promise<void> {
  const isKnown = async (): Promise<boolean> => {
    const peers = await Promise.all(world.fetchers.map((it) => it.peers()))
    return peers.every((them) => guests.every(({ id }) => them.some((it) => it.id === id)))
  }
  if (!(await within(KNOWN_MS, isKnown))) throw new Error('the bad nodes are not known to all')
}

interface Bans {
  /** How many times a liar lied to a fetcher, and how many of these have banned it. */
  readonly liedTo: number
  readonly banned: number
  readonly wrong: readonly string[]
}

/**
 * A node has banned a liar where `cairn peers` calls it banned, or does not list it at all: who is
 * banned is cut off. A liar that lied and that nobody has banned is wrong; a single one may not
 * have read the lie, because it had the content from elsewhere by then.
 */
async function bansOf(world: World, guests: readonly BadGuest[]): Promise<Bans> {
  let liedTo = 0
  let banned = 0
  const wrong: string[] = []
  for (const liar of guests.filter(({ kind }) => kind === 'liar')) {
    let bans = 0
    for (const fetcher of world.fetchers) {
      if (!liar.harmed.has((await fetcher.status()).peerId)) continue
      liedTo++
      const isBanned = await within(BANNED_MS, async () =>
        (await fetcher.peers()).every(
          ({ id, standing }) => id !== liar.id || standing === 'banned',
        ),
      )
      if (isBanned) bans++
    }
    banned += bans
    if (liar.harmed.size > 0 && bans === 0) wrong.push(`nobody has banned the liar ${liar.id}`)
  }
  return { liedTo, banned, wrong }
}
