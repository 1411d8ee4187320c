import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { STORE_PATH_HASH_BYTES } from '../../../src/nix/store-path.ts'
import { BloomFilter } from '../../../src/peers/filters/bloom-filter.ts'
import { FILTER_KEY_BYTES, PathHasher } from '../../../src/peers/filters/sip-hash.ts'
import { MISSING_PATHS } from '../asked-paths.ts'
import type { Figure } from '../figure.ts'
import { median, program, RUNS } from '../measure.ts'
import { type BenchKey, startFetcher, startSource } from '../nodes.ts'

/** A wrk script that asks for another path with every request, so that no answer is remembered. */
const ASK_FOR_NEW_PATHS = `${MISSING_PATHS}
math.randomseed(os.time() + SEED)
request = function()
  return wrk.format("GET", missing())
end
done = function(summary, latency, requests)
  io.write(string.format("answered %f a second, p99 %f ms, wrong %d\\n",
    summary.requests / summary.duration * 1e6, latency:percentile(99) / 1000,
    summary.requests - summary.errors.status))
end
`

/** Of how many paths a filter is made. */
const FILTER_PATHS = 100_000

/** Questions for paths that nobody has, with a neighbour that has told what it shares. */
export async function missFigures(scratch: string, key: BenchKey): Promise<Figure[]> {
  return [...(await askingFigures(scratch, key)), filterFigure()]
}

/** What a snapshot of the filter takes, and how often it is wrong. */
function filterFigure(): Figure {
  const hasher = new PathHasher(randomBytes(FILTER_KEY_BYTES))
  const parts = randomBytes(2 * FILTER_PATHS * STORE_PATH_HASH_BYTES)
  const times: number[] = []
  let filter = BloomFilter.sizedFor(FILTER_PATHS)
  for (let run = 0; run < RUNS + 1; run++) {
    filter = BloomFilter.sizedFor(FILTER_PATHS)
    const begunMs = performance.now()
    for (let i = 0; i < FILTER_PATHS; i++) {
      filter.add(hasher.hash(parts, i * STORE_PATH_HASH_BYTES))
    }
    if (run > 0) times.push(performance.now() - begunMs)
  }
  let wrong = 0
  for (let i = FILTER_PATHS; i < 2 * FILTER_PATHS; i++) {
    if (filter.has(hasher.hash(parts, i * STORE_PATH_HASH_BYTES))) wrong++
  }
  const bits = (8 * filter.bytes.length) / FILTER_PATHS
  return {
    what: 'filter of 100,000 shared paths for one neighbour',
    value: `${filter.bytes.length} bytes, ${median(times).toFixed(0)} ms`,
    baseline: '',
    ratio: `${bits.toFixed(1)} bits a path, ${((100 * wrong) / FILTER_PATHS).toFixed(2)} % wrong`,
    aim: '≤ 12 bits, ≤ 1 %',
  }
}

async function askingFigures(scratch: string, key: BenchKey): Promise<Figure[]> {
  await using source = await startSource(key)
  await using node = await startFetcher(key, source)
  const script = join(scratch, 'misses.lua')
  const rates: number[] = []
  const p99s: number[] = []
  for (let run = 0; run < RUNS + 1; run++) {
    await writeFile(script, ASK_FOR_NEW_PATHS.replace('SEED', `${1000 * run}`))
    const args = ['-t1', '-c25', '-d5s', '-s', script, node.gatewayUrl]
    const text = await program('wrk', args)
    const [, rate, p99, wrong] =
      /answered ([\d.]+) a second, p99 ([\d.]+) ms, wrong (\d+)/.exec(text) ?? []
    if (rate === undefined || p99 === undefined || wrong !== '0') throw new Error(text)
    if (run === 0) continue // until the code is warm
    rates.push(Number(rate))
    p99s.push(Number(p99))
  }
  return [
    {
      what: 'narinfo misses a second with a neighbour, 25 connections',
      value: median(rates).toFixed(0),
      baseline: '',
      ratio: `p99 ${median(p99s).toFixed(1)} ms`,
      aim: '≥ 2,000, p99 ≤ 25 ms',
    },
  ]
}
