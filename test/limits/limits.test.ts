import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { LIMITS } from '../../src/generated/limits.ts'
import { limitsTable, TABLE } from './make-limits.ts'

test('the table of limits is what the sources say; npm run generate makes it anew', async () => {
  expect(readFileSync(TABLE, 'utf8')).toBe(await limitsTable())
})

test('each limit has a number, a unit that can be shown, and words', () => {
  expect(LIMITS.length).toBeGreaterThan(100)
  for (const { part, name, value, what } of LIMITS) {
    expect(value, name).toBeGreaterThan(0)
    expect(what.length, `${part} ${name}`).toBeGreaterThan(15)
    expect(what, `${part} ${name}`).not.toMatch(/\{@|such (an )?address\b|^The same/)
  }
})

test('every face and every way in has its limits', () => {
  const parts = new Set(LIMITS.map(({ part }) => part))
  for (const part of ['gateway', 'rpc', 'peers', 'nar', 'substitution', 'castore']) {
    expect(parts).toContain(part)
  }
})
