import { Command, InvalidArgumentError } from 'commander'
import { generateToken, isTokenName, TokenHash } from '../foundation/access-token.ts'
import { answer } from './node-options.ts'

/** `cairn token`: tokens by which other machines may write to a node. */
export function tokenCommand(): Command {
  return new Command('token')
    .description('Tokens that let clients on other machines put paths into a node.')
    .addCommand(generateCommand())
}

function generateCommand(): Command {
  return new Command('generate')
    .description('Make a token; print it, and what the node keeps of it.')
    .argument('<NAME>', 'whose token it is, such as ci', checkedName)
    .option('--json', 'answer in JSON, for machines')
    .addHelpText(
      'after',
      `
The token is printed once and kept nowhere. The client sends it as "Authorization: Bearer TOKEN", or
Nix sends it from its netrc file. The node has only its hash, in the list tokens of cairn.toml.

Examples:
  $ cairn token generate ci
  $ echo "machine cache.example password TOKEN" >> /etc/nix/netrc`,
    )
    .action((name: string, options: { json?: boolean }) => {
      const token = generateToken()
      const hash = TokenHash.of(name, token)
      const text = `token:          ${token}\nfor cairn.toml: tokens = ["${hash}"]`
      answer(options, { token, hash: hash.toString() }, text)
    })
}

function checkedName(name: string): string {
  if (isTokenName(name)) return name
  throw new InvalidArgumentError('it is written with up to 64 letters, digits, and _ . @ -')
}
