import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { withoutOptions } from '../fixtures/daemon-process.ts'

/** The command line's entry. */
export const ENTRY = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

/** How a command ended. */
export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs `cairn` to its end, without a terminal. */
export async function runCairn(
  args: readonly string[],
  init: { readonly input?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Outcome> {
  const env = { ...withoutOptions(process.env), ...init.env }
  const child = spawn(process.execPath, [ENTRY, ...args], { env })
  const code = new Promise<number | null>((resolve) => child.once('close', resolve))
  child.stdin.end(init.input ?? '')
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { code: await code, stdout, stderr }
}
