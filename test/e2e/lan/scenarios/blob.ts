import { makeBlob } from '../content.ts'
import { raceFigures, type Scenario, setting, verdict } from '../report.ts'
import { atOnce } from './at-once.ts'

export const blob: Scenario = {
  what: 'one file of random bytes, fetched by all others at once',
  run: async (options) => {
    const { content, race } = await atOnce(options, makeBlob)
    const figures = raceFigures(race, content, options)
    const line = `${setting(options.nodes, content, options)}: ${figures}, ${verdict(race.wrong)}`
    return { line, wrong: race.wrong }
  },
}
