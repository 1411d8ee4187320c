import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { Command } from 'commander'
import { generateKey, publicKeyOf, signPath } from '../daemon/client.ts'
import { answer, type NodeOptions, withNode, withNodeOptions } from './node-options.ts'

/** `cairn key`: keys in Nix's own format. */
export function keyCommand(): Command {
  return new Command('key')
    .description("Make and use signing keys, in Nix's own format.")
    .addCommand(generateCommand())
    .addCommand(publicCommand())
    .addCommand(signCommand())
}

function generateCommand(): Command {
  return new Command('generate')
    .description('Print a new secret key; keep it in a file that only its owner can read.')
    .argument('<NAME>', 'name of the key, such as myhost-1')
    .option('--json', 'print both halves in JSON')
    .addHelpText('after', '\nExamples:\n  $ (umask 077; cairn key generate myhost-1 > secret.key)')
    .action((name: string, options: { json?: boolean }) => {
      const key = generateKey(name)
      answer(options, key, key.secret)
    })
}

function publicCommand(): Command {
  return new Command('public')
    .description('Print the public half of the secret key that is read from standard input.')
    .addHelpText('after', '\nExamples:\n  $ cairn key public < secret.key')
    .action(async () => {
      process.stdout.write(`${publicKeyOf(await text(process.stdin))}\n`)
    })
}

function signCommand(): Command {
  const command = new Command('sign')
    .description('Sign paths that the node holds; the secret key stays in this process.')
    .argument('<PATH...>', 'store paths')
    .requiredOption('--key <FILE>', 'file of the secret key')
  return withNodeOptions(command)
    .addHelpText(
      'after',
      '\nExamples:\n  $ cairn key sign --key secret.key /nix/store/…-hello-2.12',
    )
    .action(async (paths: string[], options: NodeOptions & { key: string }) => {
      const secret = await readFile(options.key, 'utf8')
      await withNode(options, async (node, call) => {
        for (const path of paths) await signPath(node, secret, path, call)
      })
      answer(options, { signed: paths }, `${paths.length} signed`)
    })
}
