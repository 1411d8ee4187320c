/** The levels of the log, the most telling last. */
export const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug', 'trace'] as const

/** One of these. */
export type LogLevel = (typeof LOG_LEVELS)[number]

/** The parts of a node that can have a level of their own. */
export const LOG_PARTS = [
  'daemon',
  'store',
  'sharing',
  'retention',
  'adoption',
  'peers',
  'substitution',
  'gateway',
  'rpc',
] as const

/** A level for every part, and those that differ. */
export interface LogLevels {
  readonly level: LogLevel
  readonly parts: ReadonlyMap<string, LogLevel>
}

/**
 * Reads levels as `info,peers=trace,gateway=debug`: one for all parts, and others for single ones.
 * @throws RangeError that says what would be right
 */
export function parseLogLevels(text: string): LogLevels {
  let level: LogLevel = 'info'
  const parts = new Map<string, LogLevel>()
  for (const item of text.split(',').map((it) => it.trim())) {
    if (item === '') continue
    const [part, value] = item.includes('=') ? item.split('=', 2) : [undefined, item]
    if (!isLevel(value)) {
      throw new RangeError(`${JSON.stringify(value)} is no log level; ${LOG_LEVELS.join(', ')} are`)
    }
    if (part === undefined) {
      level = value
    } else if ((LOG_PARTS as readonly string[]).includes(part)) {
      parts.set(part, value)
    } else {
      throw new RangeError(`${JSON.stringify(part)} is no part; ${LOG_PARTS.join(', ')} are`)
    }
  }
  return { level, parts }
}

function isLevel(text: string | undefined): text is LogLevel {
  return (LOG_LEVELS as readonly (string | undefined)[]).includes(text)
}
