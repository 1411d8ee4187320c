import type { Command } from 'commander'
import { connectNode, type NodeClient } from '../daemon/client.ts'
import type { Call } from '../foundation/call.ts'

/** What every command has that talks to the node. */
export interface NodeOptions {
  readonly rpc: string
  readonly json?: boolean
}

/** Adds `--rpc` and `--json`. */
export function withNodeOptions(command: Command): Command {
  const address = process.env.CAIRN_RPC || 'localhost:8000'
  return command
    .option('--rpc <ADDRESS>', 'HOST:PORT or unix:/PATH of the node (CAIRN_RPC)', address)
    .option('--json', 'answer in JSON, for machines')
}

/** Does something with the node, in a call that Ctrl-C ends. */
export async function withNode<T>(
  options: NodeOptions,
  work: (node: NodeClient, call: Call) => Promise<T>,
): Promise<T> {
  using node = connectNode(options.rpc)
  const abort = new AbortController()
  const onInterrupt = (): void => abort.abort(new Error('interrupted'))
  process.once('SIGINT', onInterrupt)
  process.once('SIGTERM', onInterrupt)
  try {
    return await work(node, { signal: abort.signal })
  } finally {
    process.off('SIGINT', onInterrupt)
    process.off('SIGTERM', onInterrupt)
  }
}

/** Writes an answer to standard output, as JSON of one line or as text. */
export function answer(options: { readonly json?: boolean }, value: unknown, text: string): void {
  process.stdout.write(options.json === true ? `${JSON.stringify(value)}\n` : `${text}\n`)
}
