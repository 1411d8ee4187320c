import { Command, InvalidArgumentError } from 'commander'
import { checkPathInStore, type NodeClient } from '../daemon/client.ts'
import type { Call } from '../foundation/call.ts'
import { answer, type NodeOptions, withNode, withNodeOptions } from './node-options.ts'
import { writtenName } from './shown-names.ts'
import { writeOut } from './write-out.ts'

interface CatOptions extends NodeOptions {
  readonly offset: number
  readonly length?: number
}

/** `cairn cat`: writes a file in a store path, or a part of it, to standard output. */
export function catCommand(): Command {
  const command = new Command('cat')
    .description('Write a file in a store path, or a part of it, to standard output.')
    .argument('<PATH>', 'a file, such as /nix/store/…-hello-2.12/bin/hello')
    .option('--offset <BYTES>', 'where in the file to begin', bytesOf, 0)
    .option('--length <BYTES>', 'how many bytes (default: all up to the end)', bytesOf)
  return withNodeOptions(command)
    .addHelpText(
      'after',
      `
Of a path that only neighbours have, no more is fetched than is written, if its root is signed; a
path that is signed the Nix way alone is fetched whole first. Symlinks are followed within the store
path. What lies behind the end of the file is empty. \\xNN in PATH stands for that byte of a name,
as \`cairn ls\` shows it. With --json, the bytes are base64.

Examples:
  $ cairn cat /nix/store/…-hello-2.12/share/doc/hello/README
  $ cairn cat --offset 1048576 --length 4096 /nix/store/…-image/disk.img | xxd`,
    )
    .action(async (path: string, options: CatOptions) => {
      const bytes = writtenName(path)
      checkPathInStore(bytes)
      await withNode(options, async (node, call) => {
        if (options.json === true) await tell(node, path, bytes, options, call)
        else await writeOut(node.cat(bytes, options, call))
      })
    })
}

async function tell(
  node: NodeClient,
  path: string,
  bytes: Uint8Array,
  options: CatOptions,
  call: Call,
): Promise<void> {
  const pieces: Uint8Array[] = []
  for await (const piece of node.cat(bytes, options, call)) pieces.push(piece)
  const content = Buffer.concat(pieces)
  const { offset } = options
  const value = { path, offset, length: content.length, base64: content.toString('base64') }
  answer(options, value, '')
}

function bytesOf(text: string): number {
  const bytes = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(bytes)) return bytes
  throw new InvalidArgumentError('it is a number of bytes.')
}
