/*
 * npm run soak [-- --minutes 20 --stretch 60 --life 30 --crews peers,clients]: honest nodes work, by
 * turns in peace and beside bad peers, each of which comes back under another name every so many
 * seconds, and bad clients, while others get what comes to a cache and goes again, or leave midway.
 * Prints the honest rates, what the hostile did, and the nodes' memory.
 */
import { parseArgs } from 'node:util'
import type { Stretch } from './honest-load.ts'
import type { Crew } from './hostile.ts'
import { type MemorySample, soak } from './soak.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '20' },
    stretch: { type: 'string', default: '60' },
    life: { type: 'string', default: '30' },
    crews: { type: 'string', default: 'peers,clients' },
  },
})
const crews = (values.crews === '' ? [] : values.crews.split(',')) as Crew[]
const peerLifeMs = Number(values.life) * 1000
const stretchMs = Number(values.stretch) * 1000
const stretches = Math.max(1, Math.round((Number(values.minutes) * 60_000) / stretchMs / 2))
const report = await soak({ stretches, stretchMs, crews, peerLifeMs }, (words) =>
  console.log(words),
)

const ratio = rate(report.hostile) / rate(report.calm)
console.log(`\nwhat the hostile did: ${JSON.stringify(report.acts)}`)
console.log(
  `calm ${rate(report.calm).toFixed(1)} paths/s, hostile ${rate(report.hostile).toFixed(1)} paths/s: ${ratio.toFixed(2)} ×`,
)
for (const what of ['whole', 'left', 'misses', 'gone'] as const) {
  console.log(`cache, ${what}: ${report.caching.reduce((sum, it) => sum + it[what], 0)}`)
}
const failures = [...report.calm, ...report.hostile, ...report.caching].flatMap((it) => it.failures)
for (const failure of failures.slice(0, 20)) console.log(`failed: ${failure}`)
for (const [name, samples] of Object.entries(report.memory))
  console.log(`${name}: ${trend(samples)}`)

function rate(stretches: readonly Stretch[]): number {
  const rates = stretches.map(({ paths, seconds }) => paths / seconds).sort((a, b) => a - b)
  return rates[rates.length >> 1]!
}

/** Medians of the quarters of a run, and the peak: flat is when the last are no higher. */
function trend(samples: readonly MemorySample[]): string {
  const medians = (of: (sample: MemorySample) => number): string => {
    const quarter = Math.ceil(samples.length / 4)
    const values = [0, 1, 2, 3].map((i) => {
      const sorted = samples.slice(i * quarter, (i + 1) * quarter).map(of)
      sorted.sort((a, b) => a - b)
      return Math.round((sorted[sorted.length >> 1] ?? 0) / 1e6)
    })
    return `${values.join(', ')} MB`
  }
  const peak = Math.round(Math.max(...samples.map(({ bytes }) => bytes)) / 1e6)
  const own = medians(({ bytes, fileBytes }) => bytes - fileBytes)
  const files = samples.map(({ openFiles }) => openFiles)
  const open = `${files[0]} files open at first, ${files.at(-1)} at the end`
  return `${open}; medians of the quarters ${own} of its own, pages of files ${medians((it) => it.fileBytes)}, peak ${peak} MB in all`
}
