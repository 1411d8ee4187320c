import { Command } from 'commander'
import type { PeerStatus } from '../daemon/client.ts'
import { answer, type NodeOptions, withNode, withNodeOptions } from './node-options.ts'
import { formatBytes, formatCounted, formatDuration } from './units.ts'

/** How many of those that are not connected are listed, the latest ones. */
const ABSENT_SHOWN = 20

/** `cairn peers`: who is connected, and who is not welcome. */
export function peersCommand(): Command {
  const command = new Command('peers').description(
    'List the peers that are connected, and those that are not welcome.',
  )
  return withNodeOptions(command)
    .option('--all', 'all that are not welcome, not only the latest')
    .addHelpText(
      'after',
      `
A peer is idle, and asked last, for a while after it was silent or failed; it is banned for good
when it sent wrong bytes, until \`cairn pardon\`. What came from it is counted as in, what it was
given as out; behind them stands how fast that goes now.

Examples:
  $ cairn peers
  $ cairn peers --json | jq -r '.[] | select(.standing == "banned") | .reason'`,
    )
    .action(async (options: NodeOptions & { all?: true }) => {
      const peers = await withNode(options, (node, call) => node.peers(call))
      answer(options, peers, shown(peers, options.all === true))
    })
}

/** `cairn pardon`: lets peers have another chance. */
export function pardonCommand(): Command {
  const command = new Command('pardon')
    .description('Forget what peers have done, lies included.')
    .argument('<PEER_ID...>', 'ids of peers, as `cairn peers` says them')
  return withNodeOptions(command)
    .addHelpText(
      'after',
      `
A machine with rotten memory lies without meaning to; once that is mended, this lets it in again.

Examples:
  $ cairn pardon 12D3KooW…`,
    )
    .action(async (ids: string[], options: NodeOptions) => {
      const pardoned = await withNode(options, (node, call) => node.pardon(ids, call))
      const others = ids.filter((id) => !pardoned.includes(id))
      const lines = [
        ...pardoned.map((id) => `${id} is welcome again`),
        ...others.map((id) => `${id} has done nothing that is remembered`),
      ]
      answer(options, { pardoned }, lines.join('\n'))
    })
}

function shown(peers: readonly PeerStatus[], isAll: boolean): string {
  const connected = peers.filter(({ isConnected }) => isConnected)
  const absent = peers.filter(({ isConnected }) => !isConnected)
  absent.sort((a, b) => (b.sinceMs ?? 0) - (a.sinceMs ?? 0))
  const listed = isAll ? absent : absent.slice(0, ABSENT_SHOWN)
  const left = absent.length - listed.length
  return [
    ...(connected.length === 0 ? ['nobody is connected'] : connected.map(line)),
    ...listed.map(line),
    ...(left === 0 ? [] : [`and ${formatCounted(left, 'more')} that are not welcome (--all)`]),
  ].join('\n')
}

function line(peer: PeerStatus): string {
  const { id, address, isConnected, standing, latencyMs, reason, sinceMs } = peer
  const { bytesReceived, bytesSent, receiveRate, sendRate } = peer
  const parts = [
    standing,
    ...(bytesReceived === 0 ? [] : [`${traffic(bytesReceived, receiveRate)} in`]),
    ...(bytesSent === 0 ? [] : [`${traffic(bytesSent, sendRate)} out`]),
    ...(latencyMs === undefined ? [] : [`${latencyMs} ms`]),
    ...(isConnected ? [address] : ['not connected']),
    ...(reason === undefined ? [] : [`${since(sinceMs)}: ${reason}`]),
  ]
  return `${id}  ${parts.join(', ')}`
}

function traffic(bytes: number, rate: number): string {
  return rate < 1 ? formatBytes(bytes) : `${formatBytes(bytes)} (${formatBytes(rate)}/s)`
}

function since(sinceMs: number | undefined): string {
  return sinceMs === undefined ? 'why' : `for ${formatDuration(Date.now() - sinceMs)}`
}
