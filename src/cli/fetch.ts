import { Command } from 'commander'
import { checkStorePath, type FetchReport } from '../daemon/client.ts'
import { answer, type NodeOptions, withNode, withNodeOptions } from './node-options.ts'
import { TransferBar } from './transfer-bar.ts'
import { formatBytes, formatCount } from './units.ts'

interface Failure {
  readonly storePath: string
  readonly error: string
}

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
        const failures: Failure[] = []
        let last: FetchReport | undefined
        {
          using bar = new TransferBar()
          for await (const report of node.fetch(paths, { closure: options.closure }, call)) {
            bar.update(report)
            last = report
            const { outcome } = report
            if (outcome?.error !== undefined) failures.push({ ...outcome, error: outcome.error })
          }
        }
        if (last !== undefined) tell(options, last, failures)
        if (failures.length > 0) process.exitCode = 1
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
