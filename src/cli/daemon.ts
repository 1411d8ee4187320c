import { Command } from 'commander'
import { OPTIONS } from '../daemon/config.ts'

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
  const { trustedKey, signingKey, token, mdns, config: _config, ...others } = options
  const { share, shareAllow, shareDeny, ...same } = others
  const flags: Record<string, unknown> = { ...same }
  if (trustedKey !== undefined) flags.trusted_keys = trustedKey
  if (signingKey !== undefined) flags.signing_key = signingKey
  if (token !== undefined) flags.tokens = token
  if (share !== undefined) flags['share.mode'] = share
  if (shareAllow !== undefined) flags['share.allow'] = shareAllow
  if (shareDeny !== undefined) flags['share.deny'] = shareDeny
  if (mdns === false) flags.mdns = false // commander says true where it was not given
  return flags
}
