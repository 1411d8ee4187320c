import { Command } from 'commander'
import { checkStorePath, type FetchReport } from '../daemon/client.ts'
import { type Failure, followTransfer } from './follow-transfer.ts'
import { answer, type NodeOptions, withNode, withNodeOptions } from './node-options.ts'
import { formatBytes, formatCount } from './units.ts'

/** `cairn fetch`: has the node bring store paths to itself. */
export function fetchCommand(): Command {
  const command = new Command('fetch')
    .description('Bring store paths into the node, from whoever has them.')
    .argument('<PATH...>', 'store paths, such as /nix/store/…-hello-2.12')
    .option('--no-closure', 'only these paths, not what they refer to')
  return withNodeOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  $ cairn fetch /nix/store/…-hello-2.12
  $ cairn fetch --no-closure --json /nix/store/…-a /nix/store/…-b`,
    )
    .action(async (paths: string[], options: NodeOptions & { closure: boolean }) => {
      for (const path of paths) checkStorePath(path)
      await withNode(options, async (node, call) => {
        const init = { closure: options.closure }
        const { last, failures } = await followTransfer(node.fetch(paths, init, call))
        if (last !== undefined) tell(options, last, failures)
      })
    })
}

function tell(options: NodeOptions, last: FetchReport, failures: readonly Failure[]): void {
  const { outcome: _outcome, ...totals } = last
  const here = last.pathsTotal - failures.length
  const text = [
    ...failures.map(({ storePath, error }) => `${storePath}: ${error}`),
    `${formatCount(here)} of ${formatCount(last.pathsTotal)} paths are here, ` +
      `${formatBytes(last.bytesFetched)} fetched from ${last.peers} peers`,
  ].join('\n')
  answer(options, { ...totals, failures }, text)
}
