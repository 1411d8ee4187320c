import { expect, test } from 'vitest'
import { SECTOR_BYTES } from '../../simulations/world/cached-file.ts'
import type { FaultRates } from '../../simulations/world/fault-dice.ts'
import { FaultyDisk } from '../../simulations/world/faulty-disk.ts'
import { noise } from '../fixtures/content.ts'

const made = async (seed: number, rates: FaultRates = {}) => {
  const disk = new FaultyDisk({ seed, rates })
  await disk.makeDirectory('/d')
  return disk
}
const written = async (disk: FaultyDisk, path: string, bytes: Uint8Array) => {
  const file = await disk.open(path, 'begin')
  await file.write([bytes], 0)
  return file
}
const contentOf = async (disk: FaultyDisk, path: string) => {
  const length = (await disk.facts(path))?.bytes
  if (length === undefined) return undefined
  const file = await disk.open(path, 'read')
  const content = Buffer.alloc(length)
  for (let at = 0; at < length; ) at += await file.read(content.subarray(at), at)
  return content
}

test('what was synced survives a power cut, its name when the directory was, too', async () => {
  for (let seed = 0; seed < 20; seed++) {
    const disk = await made(seed)
    const file = await written(disk, '/d/a', noise(5000))
    await file.sync()
    await disk.syncNames('/d')
    disk.restart('power-cut')
    expect(await contentOf(disk, '/d/a')).toEqual(noise(5000))
  }
})

test('of what was not synced all, nothing or some sectors are there; holes are zeros', async () => {
  const seen = new Set<string>()
  for (let seed = 0; seed < 200; seed++) {
    const disk = await made(seed)
    const file = await written(disk, '/d/a', Buffer.alloc(0))
    await disk.syncNames('/d')
    await file.write([Buffer.alloc(2 * SECTOR_BYTES, 'a')], 0)
    await file.write([Buffer.alloc(SECTOR_BYTES, 'b')], 2 * SECTOR_BYTES)
    disk.restart('power-cut')
    const content = (await contentOf(disk, '/d/a')) ?? Buffer.alloc(0)
    const sectors = Array.from({ length: content.length / SECTOR_BYTES }, (_, i) =>
      content.toString('latin1', i * SECTOR_BYTES, i * SECTOR_BYTES + 1).replace('\0', '0'),
    )
    seen.add(sectors.join(''))
    await expect(file.write([Buffer.alloc(1)], 0)).rejects.toThrow(/earlier life/)
  }
  for (const it of ['', 'a', 'aa', 'aab', '00b', 'a0b', '0ab']) expect(seen).toContain(it)
})

test('a kill leaves what was written, and a name or a removal that was not synced may go', async () => {
  const outcomes = new Set<string>()
  for (let seed = 0; seed < 40; seed++) {
    const disk = await made(seed)
    await written(disk, '/d/a', noise(100))
    disk.restart('kill')
    expect(await disk.list('/d')).toEqual(['a'])
    await disk.syncNames('/d')
    await disk.remove('/d/a')
    await written(disk, '/d/b', noise(100))
    disk.restart('power-cut')
    outcomes.add((await disk.list('/d')).sort().join(''))
  }
  expect([...outcomes].sort()).toEqual(['', 'a', 'ab', 'b'])
})

test('after a sync that failed the next one is well, and data may be lost all the same', async () => {
  const outcomes = new Set<string>()
  for (let seed = 0; seed < 40; seed++) {
    const disk = await made(seed, { sync: 1000 })
    const file = await written(disk, '/d/a', Buffer.alloc(SECTOR_BYTES, 'a'))
    await disk.syncNames('/d')
    await expect(file.sync()).rejects.toThrow('EIO')
    disk.hasFaults = false
    const before = (await contentOf(disk, '/d/a'))![0] === 0 ? 'dropped' : 'cached'
    await file.sync()
    disk.restart('power-cut')
    const after = (await contentOf(disk, '/d/a'))![0] === 0 ? 'lost' : 'kept'
    outcomes.add(`${before} ${after}`)
  }
  expect([...outcomes].sort()).toEqual(['cached kept', 'cached lost', 'dropped lost'])
})

test('a seed gives the same faults again, and all that are asked for', async () => {
  const rates = { 'short-write': 300, 'no-space': 200, write: 100, truncate: 300 }
  const run = async (seed: number) => {
    const disk = await made(seed, rates)
    const file = await disk.open('/d/a', 'begin')
    const told: string[] = []
    for (let i = 0; i < 200; i++) {
      const did = i % 5 === 4 ? file.truncate(0) : file.write([noise(50)], 0)
      told.push(String(await did.catch((error) => error.message)))
    }
    return told
  }
  const told = await run(5)
  expect(told).toEqual(await run(5))
  expect(told).not.toEqual(await run(6))
  for (const it of ['ENOSPC: write', 'EIO: write', 'EIO: truncate', '50'])
    expect(told).toContain(it)
  expect(told.some((it) => Number(it) > 0 && Number(it) < 50)).toBe(true)
})
