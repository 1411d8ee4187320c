import { type CrowdReport, crowd } from '../../fixtures/crowd/crowd.ts'
import type { Figure } from '../figure.ts'
import { median, RUNS } from '../measure.ts'
import { peakFigure } from './import-figures.ts'

const BYTES = Number(process.env.CAIRN_BENCH_CROWD_BYTES ?? 200e6)

const CLIENTS = 50

/** Many clients who want one path at once that only a cache has. */
export async function crowdFigures(): Promise<Figure[]> {
  const reports: CrowdReport[] = []
  for (let run = 0; run < RUNS; run++) reports.push(await crowd({ bytes: BYTES, clients: CLIENTS }))
  const faults = reports.flatMap((it) => it.faults)
  if (faults.length > 0) throw new Error(faults.join('\n'))
  const of = (figure: (report: CrowdReport) => number): number => median(reports.map(figure))
  const seconds = of((it) => it.seconds)
  const bytes = `${BYTES / 1e6} MB`
  return [
    {
      what: `${CLIENTS} clients at once, ${bytes} of a cache: the last one's first byte`,
      value: `${of((it) => it.latestFirstByteMs).toFixed(0)} ms after the cache's`,
      baseline: '',
      ratio: `all in ${seconds.toFixed(1)} s, ${((CLIENTS * BYTES) / seconds / 1e6).toFixed(0)} MB/s`,
      aim: '≤ 150 ms',
    },
    {
      what: 'downloads that this costs the cache',
      value: `${Math.max(...reports.map((it) => it.downloads))}`,
      baseline: '',
      ratio: '',
      aim: '1',
    },
    peakFigure(
      'of the node that they ask',
      of((it) => it.residentPeakBytes),
    ),
  ]
}
