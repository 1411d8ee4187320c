import type { Report } from '../report/report.ts'

/** What the command line says of the worlds to run. */
export interface ScenarioOptions {
  readonly seed: number
  /** How many nodes the worlds have, where one size is not enough or not the right one. */
  readonly nodes?: readonly number[]
}

/** A question, and how it is answered. */
export interface Scenario {
  readonly what: string
  run(options: ScenarioOptions): Promise<Report>
}
