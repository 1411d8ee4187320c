import { spawnSync } from 'node:child_process'
import { type Lan, makeLan, namespacesMissing } from '../../fixtures/namespaces.ts'

/** Why there can be no lab here, in a line for who is skipped; undefined where there can. */
export function labMissing(): string | undefined {
  const missing = namespacesMissing()
  if (missing !== undefined) return missing
  const probe = `cairn-shape-${process.pid}`
  spawnSync('ip', ['netns', 'add', probe])
  const shape = ['qdisc', 'add', 'dev', 'lo', 'root', 'tbf', 'rate', '1mbit']
  const depth = ['burst', '16kb', 'latency', '50ms']
  const tried = spawnSync('tc', ['-n', probe, ...shape, ...depth], { encoding: 'utf8' })
  spawnSync('ip', ['netns', 'delete', probe])
  if (tried.error !== undefined) return 'tc (iproute2) is not installed'
  return tried.status === 0 ? undefined : `links can not be shaped here: ${tried.stderr.trim()}`
}

/** Machines on one bridge, and a way to give each link the lab's rate once all is prepared. */
export interface LabLan extends Lan {
  /** The rate of a shaped link, in megabits (10^6 bits) a second. */
  readonly megabits: number
  /** From now on each machine's link has the rate, each way. */
  shape(): Promise<void>
}

/** Makes a LAN whose links are as fast as they can be until they are shaped. */
export async function makeLabLan(machines: number, megabits: number): Promise<LabLan> {
  const lan = await makeLan(machines)
  const shape = async (): Promise<void> => {
    for (const i of lan.nodes.keys()) await lan.limit(i, megabits)
  }
  return { ...lan, megabits, shape }
}
