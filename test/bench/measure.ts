import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** How often each thing is measured; the median counts. */
export const RUNS = Number(process.env.CAIRN_BENCH_RUNS ?? 3)

/** The middle one of several figures. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]!
}

/** How long something takes, in seconds. */
export async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1000
}

/** The median of several runs, in seconds; `prepare` is not counted. */
export async function medianSeconds(
  work: (run: number) => Promise<unknown>,
  prepare: (run: number) => Promise<unknown> = async () => undefined,
): Promise<number> {
  const times: number[] = []
  for (let run = 0; run < RUNS; run++) {
    await prepare(run)
    times.push(await secondsOf(() => work(run)))
  }
  return median(times)
}

/** Runs a program to its end and gives what it printed. @throws where it fails */
export async function program(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<string> {
  const options = { env: { ...process.env, ...env }, maxBuffer: 64 * 1024 * 1024 }
  const { stdout } = await execute(command, [...args], options)
  return stdout
}

/** Megabytes (10^6 bytes) a second. */
export function rate(bytes: number, seconds: number): string {
  return `${(bytes / 1e6 / seconds).toFixed(0)} MB/s`
}

/** Two rates over the same bytes, as a factor. */
export function factor(baselineSeconds: number, seconds: number): string {
  return `${(baselineSeconds / seconds).toFixed(2)} ×`
}
