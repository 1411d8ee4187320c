import { execFileSync, spawnSync } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { fixedStorePath } from '../../src/nix/fixed-store-path.ts'
import { PublicKey, SecretKey } from '../../src/nix/key.ts'

const NIX_CONFIG = [
  'experimental-features = nix-command flakes',
  'sandbox = false',
  'build-users-group =',
].join('\n')

const absent = spawnSync('nix-store', ['--version']).error !== undefined
const notRoot = process.getuid?.() !== 0
const skipped = absent ? 'nix-store is not installed' : notRoot ? 'needs root' : undefined
const why = skipped === undefined ? '' : ` (${skipped})`
const directory = mkdtempSync(join(tmpdir(), 'cairn-nix-'))
const added: string[] = []

function nix(program: string, args: readonly string[], input?: string): string {
  const env = { ...process.env, NIX_CONFIG }
  const stdio = ['pipe', 'pipe', 'pipe'] as const
  return execFileSync(program, args, {
    cwd: directory,
    env,
    input,
    stdio: [...stdio],
    encoding: 'utf8',
  })
}

afterAll(() => {
  if (added.length > 0) nix('nix-store', ['--delete', ...added])
  rmSync(directory, { recursive: true, force: true })
})

test.skipIf(skipped)(`fixedStorePath is where nix-store --add puts content${why}`, () => {
  for (const name of [`cairn-${randomUUID()}`, `.${randomUUID()}`, `a+_?=${randomUUID()}`]) {
    const file = join(directory, name)
    writeFileSync(file, `content of ${name}`)
    const path = nix('nix-store', ['--add', file]).trim()
    added.push(path)
    const env = { ...process.env, NIX_CONFIG }
    const nar = execFileSync('nix-store', ['--dump', file], { env })
    const narSha256 = createHash('sha256').update(nar).digest()
    expect(fixedStorePath(narSha256, name).toString()).toBe(path)
  }
})

test.skipIf(skipped)(`a key that Nix made is ours too${why}`, () => {
  const text = nix('nix', ['key', 'generate-secret', '--key-name', 'made-by-nix-1'])
  const key = SecretKey.parse(text)
  expect(key.toString()).toBe(text.trim())
  const publicText = nix('nix', ['key', 'convert-secret-to-public'], text)
  expect(key.publicKey().toString()).toBe(publicText.trim())
  expect(PublicKey.parse(publicText).bytes).toEqual(key.publicKey().bytes)
})

test.skipIf(skipped)(`a key that we made is Nix's too${why}`, () => {
  const key = SecretKey.generate('made-by-cairn-1')
  const publicText = nix('nix', ['key', 'convert-secret-to-public'], key.toString())
  expect(publicText.trim()).toBe(key.publicKey().toString())
})
