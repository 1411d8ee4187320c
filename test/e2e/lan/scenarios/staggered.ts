import { setTimeout as sleep } from 'node:timers/promises'
import { type Content, makeBlob } from '../content.ts'
import { linkSeconds, medianRace, race } from '../race.ts'
import { inT, raceFigures, type Scenario, setting, verdict } from '../report.ts'
import { plantedWorld } from './at-once.ts'

/** How long after one fetch the next begins. */
const APART_MS = 2_000

export const staggered: Scenario = {
  what: 'the file of `blob`; each node begins 2 s after the one before',
  run: async (options) => {
    let content: Content | undefined
    const typical = await medianRace(options.runs, async () => {
      await using planted = await plantedWorld(options, makeBlob)
      content = planted.content
      const { world } = planted
      return await race(world, planted, async (run) => {
        const arrives = world.fetchers.map(async (fetcher, i) => {
          await sleep(APART_MS * i)
          await run(fetcher)
        })
        await Promise.all(arrives)
      })
    })
    const slowest = inT(Math.max(...typical.ownSeconds), content!, options)
    const last = (APART_MS / 1000) * (options.nodes - 2)
    const least = (last + linkSeconds(content!.bytes, options)).toFixed(2)
    const figures = raceFigures(typical, content!, options)
    const line =
      `${setting(options.nodes, content!, options)}: ${figures}, the last came at ${last} s ` +
      `(and T: ${least} s), the slowest took ${slowest} of its own, ${verdict(typical.wrong)}`
    return { line, wrong: typical.wrong }
  },
}
