import { Command } from 'commander'
import { checkStorePath, type PushReport } from '../daemon/client.ts'
import { type Followed, followTransfer } from './follow-transfer.ts'
import { answer, type NodeOptions, withNode, withNodeOptions } from './node-options.ts'
import { formatBytes, formatCount } from './units.ts'

interface PushOptions {
  readonly to: string
  readonly compression: string
}

/** `cairn push`: has the node copy store paths to a cache. */
export function pushCommand(): Command {
  const command = new Command('push')
    .description('Copy store paths, and what they refer to, to a cache: only what it lacks.')
    .argument('<PATH...>', 'store paths, such as /nix/store/…-hello-2.12')
    .option('--compression <NAME>', 'of NARs: none, zstd, xz, gzip or br', 'zstd')
    .requiredOption('--to <URL>', 'the cache: file://, http(s)://, s3://, sftp:// or grpc+http://')
  return withNodeOptions(command)
    .addHelpText(
      'after',
      `
What has gone there stays when something fails: run it again, and it goes on.

Examples:
  $ cairn push --to s3://builds?region=eu-west-1 /nix/store/…-hello-2.12
  $ cairn push --to file:///mnt/cache /nix/store/…-hello-2.12
  $ cairn push --to grpc+http://store:8000 --json /nix/store/…-a`,
    )
    .action(async (paths: string[], options: NodeOptions & PushOptions) => {
      for (const path of paths) checkStorePath(path)
      await withNode(options, async (node, call) => {
        const followed = await followTransfer(node.push(paths, options, call))
        tell(options, followed)
      })
    })
}

function tell(options: NodeOptions, { last, pathsHeld, failures }: Followed<PushReport>): void {
  if (last === undefined) return
  const { outcome: _outcome, ...totals } = last
  const pushed = last.pathsTotal - pathsHeld - failures.length
  const text = [
    ...failures.map(({ storePath, error }) => `${storePath}: ${error}`),
    `${formatCount(pushed)} paths pushed, ${formatBytes(last.bytesDone)} of NARs; ` +
      `${formatCount(pathsHeld)} were there already`,
  ].join('\n')
  answer(options, { ...totals, pathsPushed: pushed, pathsHeld, failures }, text)
}
