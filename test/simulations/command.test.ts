import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { SCENARIOS } from '../../simulations/scenarios/scenarios.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'

const MAIN = fileURLToPath(new URL('../../simulations/main.ts', import.meta.url))
const README = new URL('../../simulations/README.md', import.meta.url)

const simulate = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args])
  return { status, stdout: stdout.toString(), stderr: stderr.toString() }
}

test('help and README name every scenario', () => {
  const { status, stdout } = simulate('--help')
  expect(status).toBe(0)
  const readme = readFileSync(README, 'utf8')
  for (const name of [...Object.keys(SCENARIOS), 'store']) {
    expect(stdout).toContain(`\n  ${name} `)
    expect(readme).toContain(`\`${name}\``)
  }
})

test('a scenario prints its table, and puts its chart where it is told to', async () => {
  await using directory = await temporaryDirectory()
  const out = join(directory.path, 'charts')
  const { status, stdout } = simulate('churn', '--nodes', '8', '--seed', '3', '--out', out)
  expect(status).toBe(0)
  expect(stdout).toContain('| 8     | 20 % die    | 3 ')
  expect(existsSync(join(out, 'churn-3.svg'))).toBe(true)
})

test('one seed of the store is told in full, as ever', () => {
  const { status, stdout } = simulate('--seed', '1')
  expect(status).toBe(0)
  expect(stdout).toContain('"segmentBytes"')
})

test.each([
  [['nowhere'], 'no such scenario: nowhere'],
  [['lan', '--seeds', '0'], '--seeds is to be a whole number from 1 on, not 0'],
  [['lan', '--nodes', '8,x'], '--nodes is to be a whole number from 2 on, not x'],
])('what can not be understood is said: %j', (args, words) => {
  const { status, stderr } = simulate(...args)
  expect(status).toBe(2)
  expect(stderr).toContain(words)
})
