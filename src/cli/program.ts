import { Command, CommanderError } from 'commander'
import { VERSION } from '../daemon/version.ts'
import { adoptCommand } from './adopt.ts'
import { catCommand } from './cat.ts'
import { daemonCommand } from './daemon.ts'
import { fetchCommand } from './fetch.ts'
import { gcCommand } from './gc.ts'
import { importCommand } from './import.ts'
import { keyCommand } from './key.ts'
import { lsCommand } from './ls.ts'
import { pardonCommand, peersCommand } from './peers.ts'
import { pinCommand, pinsCommand, unpinCommand } from './pin.ts'
import { postBuildHookCommand } from './post-build-hook.ts'
import { pushCommand } from './push.ts'
import { exitCodeOf, reportError } from './report-error.ts'
import { seedCommand } from './seed.ts'
import { shareCommand, unshareCommand } from './share.ts'
import { statusCommand } from './status.ts'
import { tokenCommand } from './token.ts'
import { verifyCommand } from './verify.ts'

/** Runs the command that was asked for and sets the exit code; throws nothing. */
export async function runProgram(argv: readonly string[]): Promise<void> {
  try {
    await makeProgram().parseAsync(argv)
  } catch (error) {
    if (!(error instanceof CommanderError)) reportError(error)
    process.exitCode = exitCodeOf(error)
  }
}

function makeProgram(): Command {
  const program = new Command('cairn')
    .description('A peer-to-peer substitution node for Nix: builds made nearby are fetched nearby.')
    .version(VERSION)
    .showHelpAfterError('(add --help for what is possible)')
    .addHelpText(
      'after',
      `
Exit codes: 0 done, 1 failed, 2 used wrongly, 3 no node answers.

Examples:
  $ cairn daemon                                  run a node
  $ cairn import ./result                         put a path into it
  $ cairn fetch /nix/store/…-hello-2.12           bring a path here, with all it refers to
  $ cairn ls /nix/store/…-hello-2.12              what is in it, wherever it is
  $ cairn status                                  how the node is doing`,
    )

  for (const command of [
    daemonCommand(),
    importCommand(),
    fetchCommand(),
    seedCommand(),
    pushCommand(),
    postBuildHookCommand(),
    lsCommand(),
    catCommand(),
    statusCommand(),
    peersCommand(),
    pardonCommand(),
    shareCommand(),
    unshareCommand(),
    adoptCommand(),
    pinCommand(),
    unpinCommand(),
    pinsCommand(),
    gcCommand(),
    verifyCommand(),
    keyCommand(),
    tokenCommand(),
  ]) {
    program.addCommand(command)
  }
  for (const command of [
    program,
    ...program.commands,
    ...program.commands.flatMap((it) => it.commands),
  ]) {
    command.exitOverride()
  }
  return program
}
