import { makeClosure } from '../content.ts'
import { raceFigures, type Scenario, setting, verdict } from '../report.ts'
import { atOnce } from './at-once.ts'

export const closure: Scenario = {
  what: 'a tree of 5,000 small files and some large ones, fetched by all others at once',
  run: async (options) => {
    const { content, race } = await atOnce(options, makeClosure)
    const figures = raceFigures(race, content, options)
    const line = `${setting(options.nodes, content, options)}: ${figures}, ${verdict(race.wrong)}`
    return { line, wrong: race.wrong }
  },
}
