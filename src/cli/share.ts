import { Command } from 'commander'
import { checkStorePath } from '../daemon/client.ts'
import { answer, type NodeOptions, withNode, withNodeOptions } from './node-options.ts'

/** `cairn share`: lets other machines have paths, whatever the policy says of them. */
export function shareCommand(): Command {
  return choiceCommand('share', true)
    .description('Let other machines have paths of the node, whatever its policy says of them.')
    .addHelpText(
      'after',
      `
It counts more than [share] in cairn.toml, and until \`cairn unshare\` says otherwise. Others take a
path only where a key that they trust has signed it: \`cairn key sign\` does that.

Examples:
  $ cairn share /nix/store/…-hello-2.12
  $ cairn share --json /nix/store/…-a /nix/store/…-b`,
    )
}

/** `cairn unshare`: keeps paths on this machine, whatever the policy says of them. */
export function unshareCommand(): Command {
  return choiceCommand('unshare', false)
    .description('Keep paths of the node on its machine, whatever its policy says of them.')
    .addHelpText(
      'after',
      `
From now on nobody else is told of them, or given what only they hold. What others have fetched
before stays with them. Paths that are to be kept back before they come are named by patterns: deny
below [share] in cairn.toml.

Examples:
  $ cairn unshare /nix/store/…-hello-2.12
  $ cairn unshare --json /nix/store/…-a /nix/store/…-b`,
    )
}

function choiceCommand(name: string, shared: boolean): Command {
  const command = new Command(name).argument(
    '<PATH...>',
    'store paths that the node holds, such as /nix/store/…-hello-2.12',
  )
  return withNodeOptions(command).action(async (paths: string[], options: NodeOptions) => {
    for (const path of paths) checkStorePath(path)
    await withNode(options, (node, call) => node.share(paths, shared, call))
    const what = shared ? 'shared from now on' : 'kept on this machine from now on'
    answer(options, { paths, shared }, paths.map((path) => `${path}: ${what}`).join('\n'))
  })
}
