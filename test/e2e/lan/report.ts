import type { Content } from './content.ts'
import { linkSeconds, type Race } from './race.ts'
import type { LabOptions } from './world.ts'

/** The length of the pieces that the bound is reckoned with, in bytes. */
export const PIECE_BYTES = 256 * 1024

/** What a scenario has to say: one line of figures, and what must never be and was. */
export interface Report {
  readonly line: string
  readonly wrong: readonly string[]
}

/** A part of the lab that `npm run lan` runs by name. */
export interface Scenario {
  /** What it does, for `--help`. */
  readonly what: string
  run(options: LabOptions): Promise<Report>
}

/** Of content, how long it is. */
type Bytes = Pick<Content, 'bytes'>

type Link = Pick<LabOptions, 'megabits'>
type Size = Pick<LabOptions, 'nodes' | 'megabits'>

/** How long something took, in seconds and over T. */
export function timed(seconds: number, { bytes }: Bytes, options: Link): string {
  return `${seconds.toFixed(2)} s = ${inT(seconds, { bytes }, options)}`
}

/** A time over T. */
export function inT(seconds: number, { bytes }: Bytes, options: Link): string {
  return `${(seconds / linkSeconds(bytes, options)).toFixed(2)} T`
}

/**
 * The least makespan that pieces allow where all links are alike: T · (1 + ⌊log2 N⌋ / M), for N
 * nodes and M pieces (Mundinger, Weber and Weiss, 2008).
 */
export function boundSeconds(content: Bytes, options: Size): number {
  const pieces = Math.ceil(content.bytes / PIECE_BYTES)
  const rounds = Math.floor(Math.log2(options.nodes))
  return linkSeconds(content.bytes, options) * (1 + rounds / pieces)
}

/** How often the content left the seed. */
export function copies(seedSentBytes: number, { bytes }: Bytes): string {
  return `${(seedSentBytes / bytes).toFixed(2)} copies`
}

/** What every race has: its makespan, the seed's part, and what it cost. */
export function raceFigures(race: Race, content: Content, options: LabOptions): string {
  const cpu = race.cpuSeconds.toFixed(1)
  const perGigabyte = (race.cpuSeconds / (race.receivedBytes / 1e9)).toFixed(1)
  return [
    timed(race.seconds, content, options),
    `seed gave ${copies(race.seedSentBytes, content)}`,
    `${cpu} s of CPU, ${perGigabyte} a GB`,
  ].join(', ')
}

/** Whether all bytes were right, in a word. */
export function verdict(wrong: readonly string[]): string {
  return wrong.length === 0 ? 'bytes right' : `${wrong.length} wrong`
}

/** What is run, at which size, and the bound where all begin at once. */
export function setting(nodes: number, content: Bytes, { megabits }: Link): string {
  const mib = (content.bytes / 2 ** 20).toFixed(0)
  const bound = inT(boundSeconds(content, { nodes, megabits }), content, { megabits })
  return `${nodes} nodes, ${mib} MiB, ${megabits} Mbit/s (bound ${bound})`
}
