import { type DestinationStream, destination, pino, stdSerializers } from 'pino'
import pretty from 'pino-pretty'
import type { Log, LogFields, LogOf } from '../foundation/log.ts'
import { type LogLevel, parseLogLevels } from './log-levels.ts'

/** The standard error's file descriptor: standard output is for what was asked for. */
const STDERR = 2

/** A log for each part, as text on a terminal and as a JSON object a line otherwise. */
export function pinoLog(levels: string): LogOf {
  const { level, parts } = parseLogLevels(levels)
  const root = pino(
    {
      level: 'trace',
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: stdSerializers.errWithCause },
    },
    output(),
  )
  return (part) => {
    const own: LogLevel = parts.get(part) ?? level
    const logger = root.child({ part }, { level: own })
    const at = (name: Exclude<LogLevel, 'silent'>) => (event: string, fields?: LogFields) =>
      logger[name](plain(fields), event)
    return {
      error: at('error'),
      warn: at('warn'),
      info: at('info'),
      debug: at('debug'),
      trace: at('trace'),
    } satisfies Log
  }
}

function output(): DestinationStream {
  if (!process.stderr.isTTY) return destination({ fd: STDERR, sync: true })
  return pretty({ destination: STDERR, sync: true, ignore: 'part', messageFormat: '{part}: {msg}' })
}

/** Store paths, digests and peer ids say themselves by `toString`. */
function plain(fields: LogFields = {}): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, hasOwnWords(value) ? `${value}` : value]),
  )
}

function hasOwnWords(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || value instanceof Error) return false
  return value.toString !== Object.prototype.toString && !Array.isArray(value)
}
