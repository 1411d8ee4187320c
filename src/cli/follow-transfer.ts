import { TransferBar, type TransferState } from './transfer-bar.ts'

/** A path that did not get where it was to go, and why. */
export interface Failure {
  readonly storePath: string
  readonly error: string
}

/** How far a transfer has got, and, where one has just come to its end, what became of a path. */
interface Report extends TransferState {
  readonly outcome?: {
    readonly storePath: string
    readonly held: boolean
    readonly error: string | undefined
  }
}

/** How a transfer ended. */
export interface Followed<R> {
  /** What was said last; undefined where nothing was. */
  readonly last: R | undefined
  /** How many paths were there before. */
  readonly pathsHeld: number
  readonly failures: readonly Failure[]
}

/** Shows a transfer on a bar until it ends; a failure sets the exit code. */
export async function followTransfer<R extends Report>(
  reports: AsyncIterable<R>,
): Promise<Followed<R>> {
  using bar = new TransferBar()
  const failures: Failure[] = []
  let pathsHeld = 0
  let last: R | undefined
  for await (const report of reports) {
    bar.update(report)
    last = report
    const { outcome } = report
    if (outcome?.held === true) pathsHeld++
    if (outcome?.error !== undefined) failures.push({ ...outcome, error: outcome.error })
  }
  if (failures.length > 0) process.exitCode = 1
  return { last, pathsHeld, failures }
}
