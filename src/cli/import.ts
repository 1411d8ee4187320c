import { Command } from 'commander'
import { importPath } from '../daemon/client.ts'
import { answer, type NodeOptions, withNode, withNodeOptions } from './node-options.ts'
import { TransferBar } from './transfer-bar.ts'

/** `cairn import`: puts files and directories into the node. */
export function importCommand(): Command {
  const command = new Command('import')
    .description('Put files or directories into the node; prints their store paths.')
    .argument('<PATH...>', 'files or directories')
    .option('--name <NAME>', 'name of the store path (default: the name of the file)')
  return withNodeOptions(command)
    .addHelpText(
      'after',
      `
The store path is the one that \`nix-store --add\` computes. The node signs it with its own key,
where it has one; without a key it stays for this machine alone, unless the node's share policy says
otherwise.

Examples:
  $ cairn import ./result
  $ cairn import --name site-2026-11 ./public`,
    )
    .action(async (paths: string[], options: NodeOptions & { name?: string }) => {
      if (options.name !== undefined && paths.length > 1) {
        command.error('--name goes with a single path')
      }
      await withNode(options, async (node, call) => {
        for (const path of paths) {
          using bar = new TransferBar()
          const onBytes = (bytes: number): void => bar.update({ bytesDone: bytes })
          const init = { name: options.name, onBytes }
          const imported = await importPath(node, path, init, call)
          bar[Symbol.dispose]()
          answer(options, { path, ...imported }, imported.storePath)
          if (!imported.shared && options.json !== true) process.stderr.write(NOT_SHARED)
        }
      })
    })
}

const NOT_SHARED = `It stays for this machine alone: the node has no signing key, or its share
policy keeps the path back, which \`cairn share PATH\` overrules. To make and use a key:
  cairn key generate myhost-1 > secret.key     then start the node with --signing-key secret.key
  cairn key public < secret.key                give this to the others' --trusted-key
`
