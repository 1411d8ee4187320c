/** What a log line carries beside its event: plain values, digests and errors. */
export type LogFields = Readonly<Record<string, unknown>>

/**
 * The port to the log. A line is an event, in few and constant words, and its fields:
 * `log.debug('chunk received', { peer, digest })`.
 */
export interface Log {
  error(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  debug(event: string, fields?: LogFields): void
  trace(event: string, fields?: LogFields): void
}

/** The logs of a node, one for each of its parts, so that each part can have its own level. */
export type LogOf = (part: string) => Log

/** Drops every line: for tests and for tools that have no log. */
export const silentLog: Log = {
  error: () => undefined,
  warn: () => undefined,
  info: () => undefined,
  debug: () => undefined,
  trace: () => undefined,
}
