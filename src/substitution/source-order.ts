/** For how long a source that has not answered yet is waited for, in milliseconds. */
export const UNPROVEN_MS = 150

/** The shortest wait for a source that answers as a rule, in milliseconds. */
export const PATIENCE_MIN_MS = 250

/** The longest wait for a source that answers as a rule, in milliseconds. */
export const PATIENCE_MAX_MS = 5_000

/** How many times its usual time a source may take. */
const PATIENCE_RATIO = 8

/** What a source gets of a head start before the next one, in milliseconds, at the most. */
export const HEAD_START_MAX_MS = 40

/** How many times its usual time a source has before the next one is asked, too. */
const HEAD_START_RATIO = 3

/** A head start where nothing is known of the source yet, in milliseconds. */
const HEAD_START_MS = 20

/** What is known of a source when a path is looked for. */
export interface SourceView {
  readonly name: string
  /** As Nix has it: a lower number is asked first. */
  readonly priority: number
  /** Whether it failed a moment ago, and is left alone. */
  readonly isBenched: boolean
  /** Whether what it has is likely to be no good, so that nobody else waits for it. */
  readonly isDoubtful?: boolean
  /** What it usually takes to answer, in ms; undefined before it ever has. */
  readonly latencyMs: number | undefined
  /** Whether content of it has just come: its line may be full, but it is alive. */
  readonly isDelivering?: boolean
  /** How long it may take whatever its history, in ms: it keeps to a limit of its own. */
  readonly ownLimitMs?: number | undefined
}

/** When a source is asked, and for how long. */
export interface Turn {
  readonly name: string
  /** How long it has before the next one is asked as well, in ms; at once where it has nothing. */
  readonly headStartMs: number
  /** How long it is waited for, in ms. */
  readonly patienceMs: number
}

/**
 * Whom to ask for a path, in which order: by priority, and among equals who answers soonest. Those
 * that are benched are left out. No source is waited for longer than its own history explains, or
 * the content that it is sending.
 */
export function turnsOf(views: readonly SourceView[]): readonly Turn[] {
  return views
    .filter(({ isBenched }) => !isBenched)
    .toSorted(
      (a, b) =>
        a.priority - b.priority ||
        (a.latencyMs ?? UNPROVEN_MS) - (b.latencyMs ?? UNPROVEN_MS) ||
        (a.name < b.name ? -1 : 1),
    )
    .map(({ name, isDoubtful, latencyMs, isDelivering, ownLimitMs }) => ({
      name,
      headStartMs: isDoubtful === true ? 0 : headStartOf(latencyMs),
      patienceMs: ownLimitMs ?? (isDelivering ? PATIENCE_MAX_MS : patienceOf(latencyMs)),
    }))
}

function headStartOf(latencyMs: number | undefined): number {
  const ms = latencyMs === undefined ? HEAD_START_MS : HEAD_START_RATIO * latencyMs
  return Math.min(ms, HEAD_START_MAX_MS)
}

function patienceOf(latencyMs: number | undefined): number {
  if (latencyMs === undefined) return UNPROVEN_MS
  return Math.min(Math.max(PATIENCE_RATIO * latencyMs, PATIENCE_MIN_MS), PATIENCE_MAX_MS)
}
