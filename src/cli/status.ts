import { Command } from 'commander'
import type { NodeLimit, NodeStatus, SourceStatus } from '../daemon/client.ts'
import { answer, type NodeOptions, withNode, withNodeOptions } from './node-options.ts'
import { formatBytes, formatCount, formatDuration } from './units.ts'

/** `cairn status`: how the node is doing. */
export function statusCommand(): Command {
  const command = new Command('status')
    .description('Say how the node is doing.')
    .option('--sources', 'say instead where paths come from, and how each source does')
    .option('--limits', 'say instead what bounds each request, queue, wait and memory')
  return withNodeOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  $ cairn status
  $ cairn status --json | jq .storePaths
  $ cairn status --sources
  $ cairn status --limits | grep gateway`,
    )
    .action(async (options: NodeOptions & { limits?: boolean; sources?: boolean }) => {
      if (options.limits === true) {
        const limits = await withNode(options, (node, call) => node.limits(call))
        return answer(options, limits, limits.map(limitLine).join('\n'))
      }
      if (options.sources === true) {
        const sources = await withNode(options, (node, call) => node.sources(call))
        return answer(options, sources.map(jsonOf), sourcesText(sources, Date.now()))
      }
      const status = await withNode(options, (node, call) => node.status(call))
      answer(options, { ...status, signingKey: status.signingKey ?? null }, textOf(status))
    })
}

function jsonOf({ latencyMs, lastFault, ...same }: SourceStatus) {
  return { ...same, latencyMs: latencyMs ?? null, lastFault: lastFault ?? null }
}

/** A tree of where paths come from, in the order that they are asked. */
function sourcesText(sources: readonly SourceStatus[], nowMs: number): string {
  const lines = ['this store']
  for (const [i, source] of sources.entries()) {
    const isLast = i === sources.length - 1
    const { name, priority, state, asked, hits, latencyMs, lastFault } = source
    const rate = asked === 0 ? 'not asked yet' : `had ${formatCount(hits)} of ${formatCount(asked)}`
    const pace = latencyMs === undefined ? '' : `, ${latencyMs.toFixed(latencyMs < 10 ? 1 : 0)} ms`
    lines.push(`${isLast ? '└─' : '├─'} ${name}  ${state}, ${rate}${pace} (priority ${priority})`)
    if (lastFault === undefined) continue
    const ago = formatDuration(Math.max(0, nowMs - lastFault.atMs))
    lines.push(`${isLast ? '  ' : '│ '}    last fault ${ago} ago: ${lastFault.what}`)
  }
  return lines.join('\n')
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
