import { Command } from 'commander'
import { checkStorePath } from '../daemon/client.ts'
import { answer, type NodeOptions, withNode, withNodeOptions } from './node-options.ts'
import { formatDuration } from './units.ts'

/** `cairn pin`: keeps paths, however long nobody asks for them. */
export function pinCommand(): Command {
  return choiceCommand('pin', true)
    .description('Keep paths of the node, and all that they refer to, whatever its bounds.')
    .addHelpText(
      'after',
      `
What is pinned is never removed to make room, until \`cairn unpin\` says otherwise.

Examples:
  $ cairn fetch /nix/store/…-system && cairn pin /nix/store/…-system
  $ cairn pins`,
    )
}

/** `cairn unpin`: lets paths go when there is no room. */
export function unpinCommand(): Command {
  return choiceCommand('unpin', false)
    .description('Let paths of the node go again when their time has come.')
    .addHelpText(
      'after',
      `
Examples:
  $ cairn unpin /nix/store/…-hello-2.12`,
    )
}

/** `cairn pins`: what is pinned. */
export function pinsCommand(): Command {
  const command = new Command('pins').description('List the paths that are pinned.')
  return withNodeOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  $ cairn pins
  $ cairn pins --json | jq -r '.[].storePath'`,
    )
    .action(async (options: NodeOptions) => {
      const pins = await withNode(options, (node, call) => node.pins(call))
      const nowMs = Date.now()
      const lines = pins.map(
        ({ storePath, sinceMs }) => `${storePath}  for ${formatDuration(nowMs - sinceMs)}`,
      )
      answer(options, pins, pins.length === 0 ? 'nothing is pinned' : lines.join('\n'))
    })
}

function choiceCommand(name: string, pinned: boolean): Command {
  const command = new Command(name).argument(
    '<PATH...>',
    'store paths that the node holds, such as /nix/store/…-hello-2.12',
  )
  return withNodeOptions(command).action(async (paths: string[], options: NodeOptions) => {
    for (const path of paths) checkStorePath(path)
    await withNode(options, (node, call) => node.pin(paths, pinned, call))
    const what = pinned ? 'kept from now on' : 'pinned no more'
    answer(options, { paths, pinned }, paths.map((path) => `${path}: ${what}`).join('\n'))
  })
}
