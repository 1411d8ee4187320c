import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { SpoolDirectory } from '../../src/foundation/spool.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'

test('what was written is read at any place, while more is written', async () => {
  await using directory = await temporaryDirectory()
  const spools = await SpoolDirectory.open(directory.path)
  await using spool = await spools.open()
  await spool.append(Buffer.from('hello '))
  expect(`${await spool.read(0, 100)}`).toBe('hello ')
  await spool.append(Buffer.from('world'))
  expect(`${await spool.read(4, 3)}`).toBe('o w')
  expect(`${await spool.read(11, 5)}`).toBe('')
})

test('spools are apart from each other, and leave nothing behind', async () => {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'arriving')
  const spools = await SpoolDirectory.open(path)
  await using a = await spools.open()
  await using b = await spools.open()
  await a.append(Buffer.from('a'))
  await b.append(Buffer.from('b'))
  expect([`${await a.read(0, 9)}`, `${await b.read(0, 9)}`]).toEqual(['a', 'b'])
  expect(await readdir(path)).toEqual([])
  await writeFile(join(path, 'left-by-a-crash'), 'x')
  await SpoolDirectory.open(path)
  expect(await readdir(path)).toEqual([])
})
