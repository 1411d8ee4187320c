import { Command, InvalidArgumentError } from 'commander'
import { type CleanUpReport, parseByteSize } from '../daemon/client.ts'
import { answer, type NodeOptions, withNode, withNodeOptions } from './node-options.ts'
import { formatBytes, formatCount, formatCounted } from './units.ts'

interface GcOptions extends NodeOptions {
  readonly dryRun?: boolean
  readonly now?: boolean
  readonly maxBytes?: number
}

/** `cairn gc`: lets go of what is beyond the bounds or needed by nobody. */
export function gcCommand(): Command {
  const command = new Command('gc')
    .description('Remove what the node need not keep, and give the space back.')
    .option('--dry-run', 'say what would go, and let it stay')
    .option('--max-bytes <SIZE>', 'come down to this, such as 20GB (default: as configured)', size)
    .option('--now', 'content that nothing refers to goes, though it came within the last hour')
  return withNodeOptions(command)
    .addHelpText(
      'after',
      `
Paths go that nobody has asked for in longer than max_age of the configuration, and those that were
used least lately as long as the store is larger than max_bytes: whole closures, but never what is
pinned. Content goes that nothing refers to. All this happens while the node serves others.

Examples:
  $ cairn gc --dry-run
  $ cairn gc --max-bytes 20GB
  $ cairn gc --json | jq .freedBytes`,
    )
    .action(async (options: GcOptions) => {
      const init = {
        isDryRun: options.dryRun === true,
        isNow: options.now === true,
        maxBytes: options.maxBytes,
      }
      const report = await withNode(options, (node, call) => node.cleanUp(init, call))
      answer(options, report, textOf(report, init.isDryRun))
    })
}

function size(text: string): number {
  const bytes = parseByteSize(text)
  if (bytes === undefined) throw new InvalidArgumentError('it is a size, such as 20GB or 512 MiB')
  return bytes
}

function textOf(report: CleanUpReport, isDryRun: boolean): string {
  const { paths, pathsKept, records, bytes, segments, freedBytes, diskBytes } = report
  const would = isDryRun ? 'would go' : 'gone'
  const lines = [
    ...paths.map(({ storePath }) => storePath),
    `${formatCounted(paths.length, 'path')} ${would}, ${formatCount(pathsKept)} stay`,
    `${formatCounted(records, 'record')} of ${formatBytes(bytes)} ${would}`,
  ]
  if (!isDryRun) {
    lines.push(`${formatBytes(freedBytes)} given back from ${formatCounted(segments, 'segment')}`)
  }
  return [...lines, `the store takes ${formatBytes(diskBytes)}`].join('\n')
}
