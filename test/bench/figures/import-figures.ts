import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { makeMixedTree } from '../bench-data.ts'
import type { Figure } from '../figure.ts'
import { factor, median, medianSeconds, program, RUNS, rate, secondsOf } from '../measure.ts'
import { type BenchKey, importInto, startSource } from '../nodes.ts'

/** Taking in a tree of 1 GiB, beside copying and hashing it. */
export async function importFigures(scratch: string, key: BenchKey): Promise<Figure[]> {
  const tree = join(scratch, 'mixed')
  const bytes = await makeMixedTree(tree)
  const copy = join(scratch, 'copy')
  const copySeconds = await medianSeconds(
    () => program('cp', ['-r', tree, copy]),
    () => rm(copy, { recursive: true, force: true }),
  )
  await rm(copy, { recursive: true, force: true })
  const hash = `find ${tree} -type f -print0 | xargs -0 sha256sum`
  const hashSeconds = await medianSeconds(() => program('sh', ['-c', `${hash} >/dev/null`]))
  const times: number[] = []
  const peaks: number[] = []
  for (let run = 0; run < RUNS; run++) {
    await using node = await startSource(key)
    times.push(await secondsOf(() => importInto(node, tree, 'mixed')))
    peaks.push(node.residentPeakBytes())
  }
  const seconds = median(times)
  await rm(tree, { recursive: true })
  return [
    {
      what: 'import of a mixed tree of 1 GiB',
      value: rate(bytes, seconds),
      baseline: `cp -r ${rate(bytes, copySeconds)}, sha256sum ${rate(bytes, hashSeconds)}`,
      ratio: `${factor(copySeconds, seconds)} cp, ${factor(hashSeconds, seconds)} sha256sum`,
      aim: '≥ 200 MB/s',
    },
    peakFigure('of the node that imports', median(peaks)),
  ]
}

/** The line for a node's peak of resident memory. */
export function peakFigure(what: string, bytes: number): Figure {
  const value = `${(bytes / 1e6).toFixed(0)} MB`
  return { what: `peak memory ${what}`, value, baseline: '', ratio: '', aim: '≤ 300 MB' }
}
