import { setTimeout as sleep } from 'node:timers/promises'
import { type Content, makeBlob } from '../content.ts'
import { linkSeconds, medianRace, type Race, race } from '../race.ts'
import { raceFigures, type Scenario, setting, verdict } from '../report.ts'
import type { LabOptions } from '../world.ts'
import { atOnce, type PlantedWorld, plantedWorld } from './at-once.ts'

export const churn: Scenario = {
  what: 'as `blob`; half of those that fetch are killed at T / 2, restarted, and fetch again',
  run: async (options) => {
    const calm = await atOnce(options, makeBlob)
    let content: Content | undefined
    const churned = await medianRace(options.runs, async () => {
      await using planted = await plantedWorld(options, makeBlob)
      content = planted.content
      return await churnedRace(planted, options)
    })
    const ratio = (churned.seconds / calm.race.seconds).toFixed(2)
    const wrong = [...calm.race.wrong, ...churned.wrong]
    const figures = raceFigures(churned, content!, options)
    const line =
      `${setting(options.nodes, content!, options)}: ${figures}, ` +
      `${ratio} × a run without deaths (${calm.race.seconds.toFixed(2)} s), ${verdict(wrong)}`
    return { line, wrong }
  },
}

/** Every second fetcher is killed once half of T has passed, whatever it holds by then. */
async function churnedRace(planted: PlantedWorld, options: LabOptions): Promise<Race> {
  const { world, content, storePath } = planted
  const deathMs = (linkSeconds(content.bytes, options) * 1000) / 2
  return await race(world, planted, async (run, call) => {
    const lives = world.fetchers.map(async (fetcher, i) => {
      if (i % 2 === 1) return await run(fetcher)
      const first = fetcher.fetch(storePath, call).catch(() => undefined) // it dies of it
      await sleep(deathMs)
      await fetcher.kill()
      await first
      await fetcher.restart()
      await run(fetcher)
    })
    await Promise.all(lives)
  })
}
