import { Command } from 'commander'
import type { NodeLimit, NodeStatus } from '../daemon/client.ts'
import { answer, type NodeOptions, withNode, withNodeOptions } from './node-options.ts'
import { formatBytes, formatCount, formatDuration } from './units.ts'

/** `cairn status`: how the node is doing. */
export function statusCommand(): Command {
  const command = new Command('status')
    .description('Say how the node is doing.')
    .option('--limits', 'say instead what bounds each request, queue, wait and memory')
  return withNodeOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  $ cairn status
  $ cairn status --json | jq .storePaths
  $ cairn status --limits | grep gateway`,
    )
    .action(async (options: NodeOptions & { limits?: boolean }) => {
      if (options.limits === true) {
        const limits = await withNode(options, (node, call) => node.limits(call))
        return answer(options, limits, limits.map(limitLine).join('\n'))
      }
      const status = await withNode(options, (node, call) => node.status(call))
      answer(options, { ...status, signingKey: status.signingKey ?? null }, textOf(status))
    })
}

function limitLine({ part, name, value, what }: NodeLimit): string {
  return `${part.padEnd(14)}${shownLimit(name, value).padStart(10)}  ${what} (${name})`
}

/** The value of a limit in the unit that its name ends with. */
function shownLimit(name: string, value: number): string {
  if (/_BYTES(_MAX)?$/.test(name)) return formatBytes(value)
  if (/_MS(_MAX)?$/.test(name)) return value < 1000 ? `${value} ms` : formatDuration(value)
  return formatCount(value)
}

function textOf(status: NodeStatus): string {
  const key = status.signingKey ?? 'none: what is put in here stays for this machine alone'
  const { logicalBytes, uniqueBytes, storedBytes } = status
  const content =
    `${formatBytes(logicalBytes)} in paths, ` +
    `${formatBytes(uniqueBytes)} unique${ratio(logicalBytes, uniqueBytes)}, ` +
    `${formatBytes(storedBytes)} stored${ratio(uniqueBytes, storedBytes)}`
  const { chunks, directories } = status
  const parts = `${formatCount(chunks)} chunks, ${formatCount(directories)} directories`
  const rows: [string, string][] = [
    ['node', `cairn ${status.version}, up ${formatDuration(status.uptimeMs)}`],
    ['peer id', status.peerId],
    ['gateway', status.gateway],
    ['peers', `${status.peers} connected`],
    ['paths', formatCount(status.storePaths)],
    ['content', content],
    ['', parts],
    ['traffic', `${formatBytes(status.bytesFetched)} in, ${formatBytes(status.bytesServed)} out`],
    ['memory', formatBytes(status.residentBytes)],
    ['state', status.stateDirectory],
    ['signs with', key],
    ...status.trustedKeys.map((it): [string, string] => ['trusts', it]),
    ...status.listening.map((it): [string, string] => ['listens at', it]),
  ]
  return rows.map(([name, value]) => `${name.padEnd(12)}${value}`).join('\n')
}

/** How many times less it is; nothing where there is nothing to compare. */
function ratio(before: number, after: number): string {
  return after === 0 ? '' : ` (1/${(before / after).toFixed(1)})`
}
