import { spawn, spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { noise } from '../fixtures/content.ts'
import { startDaemon, withoutOptions } from '../fixtures/daemon-process.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { ENTRY, runCairn } from './run-cairn.ts'

const skipped = spawnSync('script', ['--version']).status !== 0

/** What a command writes to a terminal, which `script` pretends to be. */
async function onTerminal(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  const command = argv.map((it) => `'${it.replaceAll("'", "'\\''")}'`).join(' ')
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    env: { ...withoutOptions(process.env), TERM: 'xterm', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return await text(child.stdout)
}

test.skipIf(skipped)('a bar is drawn on a terminal, and nowhere else (needs script)', async () => {
  await using directory = await temporaryDirectory()
  await using node = await startDaemon({ args: ['--no-mdns'] })
  const env = { CAIRN_RPC: node.rpc }
  const path = join(directory.path, 'large')
  await writeFile(path, noise(20 * 1024 * 1024, 'bar'))
  const drawn = await onTerminal([process.execPath, ENTRY, 'import', path], env)
  expect(drawn).toMatch(/[█░]/)
  expect(drawn).toMatch(/MiB.*\/s/)
  expect(drawn).toMatch(/\/nix\/store\/[0-9a-z]{32}-large/)
  const { stdout, stderr } = await runCairn(['import', path], { env })
  expect(stdout).toMatch(/^\/nix\/store\/[0-9a-z]{32}-large\n$/)
  for (const sign of ['█', '░', '\r', '\x1b']) expect(stdout + stderr).not.toContain(sign)
})
