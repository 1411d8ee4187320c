import { CommanderError } from 'commander'
import { NixError, NodeClientError } from '../daemon/client.ts'
import { ConfigError } from '../daemon/config-error.ts'

const FAILED = 1
const USED_WRONGLY = 2
const NO_NODE = 3

/** The exit code that an error ends the command with. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USED_WRONGLY
  if (error instanceof ConfigError) return USED_WRONGLY
  if (error instanceof NixError) return USED_WRONGLY // a store path, name or key that is none
  if (error instanceof NodeClientError && error.unreachable) return NO_NODE
  return FAILED
}

/** Says what went wrong, for a person; the stack only where CAIRN_LOG asks for that much. */
export function reportError(error: unknown): void {
  const lines = error instanceof ConfigError ? error.problems : [words(error)]
  for (const line of lines) process.stderr.write(`cairn: ${line}\n`)
  if (/debug|trace/.test(process.env.CAIRN_LOG ?? '') && error instanceof Error) {
    process.stderr.write(`${error.stack}\n`)
  }
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
