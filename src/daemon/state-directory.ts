import { homedir } from 'node:os'
import { join } from 'node:path'

/** Where a service manager puts the state, or else where the user's own programs do. */
export function defaultState(): string {
  const given = process.env.STATE_DIRECTORY
  if (given !== undefined && given !== '') return given
  return join(process.env.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'cairn')
}

/** Where the post-build hook leaves its notes, below the state directory. */
export function builtDirectory(state: string = process.env.CAIRN_STATE || defaultState()): string {
  return join(state, 'built')
}
