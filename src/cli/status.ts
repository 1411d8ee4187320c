import { Command } from 'commander'
import type { NodeStatus } from '../daemon/client.ts'
import { answer, type NodeOptions, withNode, withNodeOptions } from './node-options.ts'
import { formatBytes, formatCount, formatDuration } from './units.ts'

/** `cairn status`: how the node is doing. */
export function statusCommand(): Command {
  const command = new Command('status').description('Say how the node is doing.')
  return withNodeOptions(command)
    .addHelpText('after', '\nExamples:\n  $ cairn status\n  $ cairn status --json | jq .storePaths')
    .action(async (options: NodeOptions) => {
      const status = await withNode(options, (node, call) => node.status(call))
      answer(options, status, textOf(status))
    })
}

function textOf(status: NodeStatus): string {
  const key = status.signingKey ?? 'none: what is put in here stays for this machine alone'
  const content =
    `${formatBytes(status.storedBytes)} in ${formatCount(status.chunks)} chunks, ` +
    `${formatCount(status.directories)} directories`
  const rows: [string, string][] = [
    ['node', `cairn ${status.version}, up ${formatDuration(status.uptimeMs)}`],
    ['peer id', status.peerId],
    ['gateway', status.gateway],
    ['peers', `${status.peers} connected`],
    ['paths', formatCount(status.storePaths)],
    ['content', content],
    ['traffic', `${formatBytes(status.bytesFetched)} in, ${formatBytes(status.bytesServed)} out`],
    ['memory', formatBytes(status.residentBytes)],
    ['state', status.stateDirectory],
    ['signs with', key],
    ...status.trustedKeys.map((it): [string, string] => ['trusts', it]),
    ...status.listening.map((it): [string, string] => ['listens at', it]),
  ]
  return rows.map(([name, value]) => `${name.padEnd(12)}${value}`).join('\n')
}
