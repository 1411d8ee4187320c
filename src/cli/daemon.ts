import { Command } from 'commander'
import { OPTIONS } from '../daemon/options.ts'

/** `cairn daemon`: runs a node. */
export function daemonCommand(): Command {
  const command = new Command('daemon')
    .description('Run a node until it is told to stop.')
    .option(
      '--config <FILE>',
      'configuration (default: ~/.config/cairn/cairn.toml, if it is there)',
    )
  for (const { flag, help, env } of Object.values(OPTIONS)) command.option(flag, `${help} (${env})`)
  return command
    .addHelpText(
      'after',
      `
Each option may also stand in the environment, or in cairn.toml: by the name of its environment
variable in small letters without CAIRN_, those of sharing as mode, allow and deny below [share].
Flags count more than the environment, and that more than the file. Options that may be given more
than once replace the whole list.

Examples:
  $ cairn daemon
  $ cairn daemon --trusted-key myhost-1:6NCH… --signing-key /etc/cairn/secret.key
  $ cairn daemon --no-mdns --bootstrap /ip4/192.168.1.5/tcp/9001
  $ CAIRN_LOG=info,peers=trace cairn daemon --state /var/lib/cairn`,
    )
    .action(async (options: Record<string, unknown>) => {
      // Loaded here, because the other commands need nothing of it and start faster without.
      const { runDaemon } = await import('../daemon/run-daemon.ts')
      await runDaemon({ config: options.config as string | undefined, flags: flagsOf(options) })
    })
}

/** The given options by their names in cairn.toml. */
function flagsOf(options: Record<string, unknown>): Record<string, unknown> {
  const flags: Record<string, unknown> = {}
  for (const [key, { flag }] of Object.entries(OPTIONS)) {
    const long = flag.split(' ')[0]!.slice('--'.length)
    const isNegative = long.startsWith('no-')
    const value = options[camelCase(isNegative ? long.slice('no-'.length) : long)]
    // Commander says true of what may be denied where nothing was given.
    if (value !== undefined && !(isNegative && value === true)) flags[key] = value
  }
  return flags
}

/** How commander calls an option. */
function camelCase(long: string): string {
  return long.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
}
