import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { bareStreamSeconds } from '../bare-stream.ts'
import { makeBigFile, makeSmallFiles } from '../bench-data.ts'
import type { Figure } from '../figure.ts'
import { factor, median, RUNS, rate, secondsOf } from '../measure.ts'
import { type BenchKey, fetchInto, importInto, startFetcher, startSource } from '../nodes.ts'
import { peakFigure } from './import-figures.ts'

const BYTES = 1024 * 1024 * 1024
const FILES = 20_000

/** From node to node over loopback, beside a bare libp2p stream moving the same bytes. */
export async function fetchFigures(scratch: string, key: BenchKey): Promise<Figure[]> {
  const directory = join(scratch, 'fetch')
  await mkdir(directory)
  await makeBigFile(join(directory, 'big'), BYTES)
  const smallBytes = await makeSmallFiles(join(directory, 'small'), FILES)
  await using source = await startSource(key)
  const big = await importInto(source, join(directory, 'big'), 'big')
  const small = await importInto(source, join(directory, 'small'), 'small')
  await rm(directory, { recursive: true })

  const bare: number[] = []
  const bareSmall: number[] = []
  const times: number[] = []
  const smallTimes: number[] = []
  const peaks: number[] = []
  for (let run = 0; run < RUNS; run++) {
    bare.push(await bareStreamSeconds(BYTES))
    bareSmall.push(await bareStreamSeconds(smallBytes))
    await using node = await startFetcher(key, source)
    smallTimes.push(await secondsOf(() => fetchInto(node, small)))
    times.push(await secondsOf(() => fetchInto(node, big)))
    peaks.push(node.residentPeakBytes())
  }
  const filesPerSecond = FILES / median(smallTimes)
  return [
    {
      what: 'fetch of one file of 1 GiB from a node',
      value: rate(BYTES, median(times)),
      baseline: `bare stream ${rate(BYTES, median(bare))}`,
      ratio: factor(median(bare), median(times)),
      aim: '≥ 0.5 × the stream',
    },
    {
      what: 'fetch of 20,000 small files',
      value: `${filesPerSecond.toFixed(0)} files/s, ${rate(smallBytes, median(smallTimes))}`,
      baseline: `bare stream ${rate(smallBytes, median(bareSmall))}`,
      ratio: factor(median(bareSmall), median(smallTimes)),
      aim: '≥ 4,000 files/s',
    },
    peakFigure('of the node that fetches', median(peaks)),
    peakFigure('of the node that serves', source.residentPeakBytes()),
  ]
}
