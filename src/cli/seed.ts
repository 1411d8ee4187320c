import { Command, InvalidArgumentError } from 'commander'
import { checkStorePath } from '../daemon/client.ts'
import { type NodeOptions, withNode, withNodeOptions } from './node-options.ts'
import { complete, SeedBoard } from './seed-board.ts'

interface SeedOptions extends NodeOptions {
  readonly until?: number
}

/** `cairn seed`: keeps paths, and shows how they spread. */
export function seedCommand(): Command {
  const command = new Command('seed')
    .description('Keep paths for others, and watch which neighbours have them by now.')
    .argument('<PATH...>', 'store paths that the node holds, such as /nix/store/…-hello-2.12')
    .option('--until <N>', 'end when so many neighbours have everything', neighbours)
  return withNodeOptions(command)
    .addHelpText(
      'after',
      `
The paths and all that they refer to are pinned, which \`cairn unpin\` takes back. The node
announces and serves them whether this command runs or not; it shows how that goes, until Ctrl-C.

Examples:
  $ cairn seed /nix/store/…-nixos-system
  $ cairn seed --until 7 --json /nix/store/…-nixos-system`,
    )
    .action(async (paths: string[], options: SeedOptions) => {
      for (const path of paths) checkStorePath(path)
      await withNode(options, async (node, call) => {
        using board = new SeedBoard({ json: options.json === true })
        try {
          for await (const report of node.seed(paths, call)) {
            board.show(report)
            if (options.until !== undefined && complete(report) >= options.until) return
          }
        } catch (error) {
          if (!call.signal.aborted) throw error // otherwise the person has seen enough
        }
      })
    })
}

function neighbours(text: string): number {
  const number = Number(text)
  if (Number.isInteger(number) && number > 0) return number
  throw new InvalidArgumentError('is a number of neighbours, such as 7')
}
