import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { GUARDS } from './guards.ts'

const ROOT = join(import.meta.dirname, '..', '..')

// That undoing a guard turns its tests red is shown by `npm run guards`, which takes minutes.
test.each(GUARDS)('$name is where the list says', ({ file, guard, undone, tests }) => {
  expect(readFileSync(join(ROOT, file), 'utf8').split(guard).length).toBe(2)
  expect(undone).not.toBe(guard)
  expect(tests.length).toBeGreaterThan(0)
  for (const path of tests) expect(existsSync(join(ROOT, path)), path).toBe(true)
})
