import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GUARDS, type Guard } from './guards.ts'

/**
 * Undoes each guard in a scratch copy and runs its tests, which must go red; and runs all of them
 * once with nothing undone, which must be green. `npm run guards [-- WORD]` takes those whose name
 * has the word in it.
 */
const ROOT = join(import.meta.dirname, '..', '..')
const COPIED = ['src', 'test', 'simulations', 'protos', 'package.json', 'tsconfig.json']

const word = process.argv[2] ?? ''
const chosen = GUARDS.filter(({ name }) => name.includes(word))
const scratch = mkdtempSync(join(tmpdir(), 'cairn-guards-'))
try {
  for (const name of COPIED) cpSync(join(ROOT, name), join(scratch, name), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(scratch, 'node_modules'))
  const all = [...new Set(chosen.flatMap(({ tests }) => tests))]
  const failures = isGreen(all) ? [] : ['with nothing undone the tests are red']
  if (failures.length === 0) console.log(`green  with nothing undone, ${all.length} test files`)
  for (const guard of chosen) if (!goesRed(guard)) failures.push(`unguarded: ${guard.name}`)
  for (const failure of failures) console.error(failure)
  process.exitCode = failures.length === 0 && chosen.length > 0 ? 0 : 1
} finally {
  rmSync(scratch, { recursive: true, force: true })
}

function goesRed(guard: Guard): boolean {
  const path = join(scratch, guard.file)
  const text = readFileSync(path, 'utf8')
  if (text.split(guard.guard).length !== 2) {
    console.log(`gone   ${guard.name}: its text is not in ${guard.file} exactly once`)
    return false
  }
  writeFileSync(
    path,
    text.replace(guard.guard, () => guard.undone),
  )
  try {
    // Each test file must notice by itself.
    const unmoved = guard.tests.filter((test) => isGreen([test]))
    console.log(`${unmoved.length === 0 ? 'red   ' : 'GREEN '} ${guard.name} ${unmoved.join(' ')}`)
    return unmoved.length === 0
  } finally {
    writeFileSync(path, text)
  }
}

function isGreen(tests: readonly string[]): boolean {
  const vitest = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs')
  const args = [vitest, 'run', '--bail', '1', '--config', 'test/vitest.config.ts', ...tests]
  const { status } = spawnSync(process.execPath, args, { cwd: scratch, stdio: 'ignore' })
  return status === 0
}
