import { Command } from 'commander'
import { type AdoptedPath, type AdoptReport, checkStorePath } from '../daemon/client.ts'
import { answer, type NodeOptions, withNode, withNodeOptions } from './node-options.ts'
import { TransferBar } from './transfer-bar.ts'
import { formatBytes, formatCount, formatCounted } from './units.ts'

interface AdoptOptions extends NodeOptions {
  readonly all?: boolean
  readonly signed?: boolean
  readonly sign?: boolean
}

/** `cairn adopt`: takes in paths of the machine's own store, where they lie. */
export function adoptCommand(): Command {
  const command = new Command('adopt')
    .description("Take in paths of this machine's /nix/store where they lie, without copying.")
    .argument('[PATH...]', 'store paths that Nix knows as valid')
    .option('--all', 'all that Nix knows as valid')
    .option('--signed', 'those that a key has signed that the node trusts')
    .option('--sign', "sign them with the node's own key, so that others get them")
  return withNodeOptions(command)
    .addHelpText(
      'after',
      `
Signatures, references and derivers are taken from Nix's database; the node must be able to read
that and the store. What nobody trusted has signed stays for this machine alone, unless
\`cairn share\` or the configuration says otherwise. A path that Nix collects is let go of. With
follow = true in [adopt] of the configuration the node adopts by itself what Nix adds.

Examples:
  $ cairn adopt --signed
  $ cairn adopt $(nix-store -qR /run/current-system)
  $ cairn adopt --sign ./result`,
    )
    .action(async (paths: string[], options: AdoptOptions) => {
      const selection = selected(paths, options)
      if (selection === undefined) {
        return command.error('error: name paths to adopt, or say --all, or --signed')
      }
      const failures: AdoptedPath[] = []
      let [adopted, held] = [0, 0]
      let last: AdoptReport | undefined
      await withNode(options, async (node, call) => {
        using bar = new TransferBar()
        const init = { sign: options.sign === true }
        for await (const report of node.adopt(selection, init, call)) {
          const { path, done, total, bytes } = report
          bar.update({ bytesDone: bytes, pathsDone: done, pathsTotal: total })
          last = report
          if (path?.error !== undefined) failures.push(path)
          else if (path?.held === true) held++
          else if (path !== undefined) adopted++
        }
      })
      const bytes = last?.bytes ?? 0
      const text = [
        ...failures.map(({ storePath, error }) => `${storePath}: ${error}`),
        `${formatCounted(adopted, 'path')} of ${formatBytes(bytes)} adopted, ` +
          `${formatCount(held)} were here before`,
      ]
      answer(options, { adopted, held, bytes, failures }, text.join('\n'))
      if (failures.length > 0) process.exitCode = 1
    })
}

/** Undefined where nothing is said, or two things. */
function selected(
  paths: readonly string[],
  options: AdoptOptions,
): string[] | 'all' | 'signed' | undefined {
  const { all = false, signed = false } = options
  if (Number(paths.length > 0) + Number(all) + Number(signed) !== 1) return undefined
  if (all) return 'all'
  if (signed) return 'signed'
  for (const path of paths) checkStorePath(path)
  return [...paths]
}
