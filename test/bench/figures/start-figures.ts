import type { Figure } from '../figure.ts'
import { median, program, RUNS, secondsOf } from '../measure.ts'
import { type BenchKey, startSource } from '../nodes.ts'

/** From starting the process to the first answer of the gateway. */
export async function startFigures(_scratch: string, key: BenchKey): Promise<Figure[]> {
  const times: number[] = []
  const bare: number[] = []
  for (let run = 0; run < Math.max(RUNS, 5); run++) {
    bare.push(await secondsOf(() => program(process.execPath, ['-e', ''])))
    const start = performance.now()
    await using _node = await startSource(key)
    times.push((performance.now() - start) / 1000)
  }
  return [
    {
      what: 'start-up, until the gateway answers',
      value: `${median(times).toFixed(2)} s`,
      baseline: `node -e '' ${median(bare).toFixed(2)} s`,
      ratio: '',
      aim: '≤ 1.5 s',
    },
  ]
}
