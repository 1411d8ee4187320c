/*
 * npm run crash [-- --kills 200 --seed 1]: kills a node under load again and again, starts it on the
 * same state, and reads back what it had acknowledged.
 */
import { parseArgs } from 'node:util'
import { crashRun } from './crash-run.ts'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
  },
})
const report = await crashRun({ kills: Number(values.kills), seed: Number(values.seed) }, (words) =>
  console.log(words),
)
console.log(JSON.stringify(report, undefined, 2))
process.exitCode = report.faults.length === 0 ? 0 : 1
