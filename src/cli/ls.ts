import { Command } from 'commander'
import { checkPathInStore, type ListedNode } from '../daemon/client.ts'
import { utf8Text } from '../foundation/bytes.ts'
import { type NodeOptions, withNode, withNodeOptions } from './node-options.ts'
import { shownName, writtenName } from './shown-names.ts'
import { writeOut } from './write-out.ts'

/** How wide the column of sizes is, in characters: as in `nix store ls -l`. */
const SIZE_WIDTH = 20

interface LsOptions extends NodeOptions {
  readonly recursive?: boolean
  readonly long?: boolean
}

/** `cairn ls`: tells what is in a store path. */
export function lsCommand(): Command {
  const command = new Command('ls')
    .description('List what is in a store path.')
    .argument('<PATH>', 'a directory, such as /nix/store/…-hello-2.12/bin')
    .option('-R, --recursive', 'all that is below it')
    .option('-l, --long', 'what each is, and how many bytes files have')
  return withNodeOptions(command)
    .addHelpText(
      'after',
      `
The path need not be here: if its root is signed, its directories are fetched, and none of its
files. On a terminal, bytes of names that are not printable are shown as \\xNN. With --json, names
and targets that are no UTF-8 have their bytes beside them, as base64.

Examples:
  $ cairn ls /nix/store/…-hello-2.12
  $ cairn ls -l --recursive /nix/store/…-hello-2.12/share
  $ cairn ls --json /nix/store/…-hello-2.12 | jq -r '.[].path'`,
    )
    .action(async (path: string, options: LsOptions) => {
      const bytes = writtenName(path)
      checkPathInStore(bytes)
      const init = { isRecursive: options.recursive === true }
      await withNode(options, async (node, call) => {
        const listed = node.list(bytes, init, call)
        await writeOut(options.json === true ? json(listed) : lines(listed, bytes, options))
      })
    })
}

async function* lines(
  listed: AsyncIterable<ListedNode>,
  asked: Uint8Array,
  options: LsOptions,
): AsyncGenerator<string | Uint8Array> {
  const isRead = process.stdout.isTTY
  const shown = (name: Uint8Array): Uint8Array => (isRead ? Buffer.from(shownName(name)) : name)
  for await (const { path, node } of listed) {
    // What is no directory is called as it was asked for.
    const name = shown(path.length === 0 ? asked : path)
    if (options.long !== true) {
      yield Buffer.concat([name, NEWLINE])
      continue
    }
    const target = node.type === 'symlink' ? [ARROW, shown(node.target)] : []
    yield Buffer.concat([Buffer.from(columns(node)), name, ...target, NEWLINE])
  }
}

const NEWLINE = Buffer.from('\n')
const ARROW = Buffer.from(' -> ')

function columns(node: ListedNode['node']): string {
  switch (node.type) {
    case 'file':
      return `${node.executable ? '-r-xr-xr-x' : '-r--r--r--'} ${column(String(node.size))}`
    case 'directory':
      return `dr-xr-xr-x ${column('-')}`
    case 'symlink':
      return `lrwxrwxrwx ${column('-')}`
  }
}

function column(size: string): string {
  return `${size.padStart(SIZE_WIDTH)} `
}

async function* json(listed: AsyncIterable<ListedNode>): AsyncGenerator<string> {
  let separator = '['
  for await (const { path, node } of listed) {
    yield `${separator}${JSON.stringify({ ...named('path', path), ...fieldsOf(node) })}`
    separator = ','
  }
  yield separator === '[' ? '[]\n' : ']\n'
}

/** What Nix's listings say of a node, in their words. */
function fieldsOf(node: ListedNode['node']): object {
  switch (node.type) {
    case 'file':
      return { type: 'regular', size: node.size, executable: node.executable }
    case 'directory':
      return { type: 'directory' }
    case 'symlink':
      return { type: 'symlink', ...named('target', node.target) }
  }
}

/** Bytes as a field of that name; where they are no UTF-8, the text is for people. */
function named(field: string, bytes: Uint8Array): object {
  const text = utf8Text(bytes)
  if (text !== undefined) return { [field]: text }
  const base64 = Buffer.from(bytes).toString('base64')
  return { [field]: shownName(bytes), [`${field}Bytes`]: base64 }
}
