import { Command } from 'commander'
import { builtDirectory, dropNote } from '../daemon/client.ts'

/** `cairn post-build-hook`: tells the node what Nix has just built. */
export function postBuildHookCommand(): Command {
  return new Command('post-build-hook')
    .description('Tell the node what Nix has built, for it to sign and share; run by Nix itself.')
    .option(
      '--state <DIR>',
      "the node's state directory (CAIRN_STATE, or as `cairn daemon` has it)",
    )
    .addHelpText(
      'after',
      `
Put this into a file that can be executed, and its path into nix.conf as post-build-hook:

  #!/bin/sh
  exec cairn post-build-hook --state /var/lib/cairn

It reads OUT_PATHS and DRV_PATH, as Nix sets them, leaves a note for the node, and is done: the
node adopts and signs the paths as soon as it runs. It never fails a build: where the note can not
be left, it says so and ends with 0.

Examples:
  $ OUT_PATHS=/nix/store/…-hello-2.12 cairn post-build-hook`,
    )
    .action(async ({ state }: { state?: string }) => {
      // Nix 2.8 leaves OUT_PATHS empty; the node asks Nix's database for what a derivation makes.
      const { OUT_PATHS = '', DRV_PATH = '' } = process.env
      const paths = OUT_PATHS.trim() || DRV_PATH.trim()
      if (paths === '') {
        process.stderr.write(
          'cairn: neither OUT_PATHS nor DRV_PATH names anything: nothing to do\n',
        )
        return
      }
      try {
        await dropNote(builtDirectory(state), `${paths}\n`)
      } catch (error) {
        // A build is not to fail because nobody can be told of it.
        process.stderr.write(`cairn: the node is not told of ${paths}: ${error}\n`)
      }
    })
}
