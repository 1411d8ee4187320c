import { Command } from 'commander'
import type { PeerStatus } from '../daemon/client.ts'
import { answer, type NodeOptions, withNode, withNodeOptions } from './node-options.ts'
import { formatBytes } from './units.ts'

/** `cairn peers`: who is connected. */
export function peersCommand(): Command {
  const command = new Command('peers').description('List the peers that are connected.')
  return withNodeOptions(command)
    .addHelpText(
      'after',
      '\nExamples:\n  $ cairn peers\n  $ cairn peers --json | jq -r .[].address',
    )
    .action(async (options: NodeOptions) => {
      const peers = await withNode(options, (node, call) => node.peers(call))
      answer(
        options,
        peers,
        peers.length === 0 ? 'nobody is connected' : peers.map(line).join('\n'),
      )
    })
}

function line(peer: PeerStatus): string {
  const { id, address, standing, bytesReceived, bytesSent, latencyMs, reason } = peer
  const traffic = `${formatBytes(bytesReceived)} in, ${formatBytes(bytesSent)} out`
  const latency = latencyMs === undefined ? '' : `, ${latencyMs} ms`
  const why = reason === undefined ? '' : ` (${reason})`
  return `${id}  ${standing}${why}  ${traffic}${latency}  ${address}`
}
