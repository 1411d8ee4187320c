import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { silentLog } from '../../../src/foundation/log.ts'
import { systemClock } from '../../../src/foundation/system-clock.ts'
import { BANS_MAX, FileBanList } from '../../../src/peers/standing/file-ban-list.ts'
import { PeerLedger } from '../../../src/peers/standing/peer-ledger.ts'
import { temporaryDirectory } from '../../fixtures/temporary-directory.ts'

let path: string

beforeEach(async () => {
  const directory = await temporaryDirectory()
  path = join(directory.path, 'banned-peers')
  return () => directory[Symbol.asyncDispose]()
})

const open = () => FileBanList.open(path, silentLog)

test('who lied is banned after a restart, too; who only failed is not', async () => {
  const bans = await open()
  const before = new PeerLedger({ clock: systemClock, bans })
  before.report('liar', 'lied', 'a wrong byte')
  before.report('slow', 'stalled', 'silence')
  await bans.stop()
  const after = new PeerLedger({ clock: systemClock, bans: await open() })
  expect(after.standing('liar')).toBe('banned')
  expect(after.standing('slow')).toBe('welcome')
  expect(after.unwelcome()).toMatchObject([{ peer: 'liar', reason: 'a wrong byte' }])
})

test('who was pardoned is welcome, and stays so', async () => {
  const bans = await open()
  const ledger = new PeerLedger({ clock: systemClock, bans })
  ledger.report('liar', 'lied', 'a wrong byte')
  expect(ledger.pardon('liar')).toBe(true)
  expect(ledger.pardon('liar')).toBe(false)
  await bans.stop()
  const after = new PeerLedger({ clock: systemClock, bans: await open() })
  expect(after.standing('liar')).toBe('welcome')
})

test('no more than so many are kept: the oldest go', async () => {
  const bans = await open()
  for (let i = 0; i <= BANS_MAX; i++) bans.add({ peer: `${i}`, sinceMs: i, reason: '' })
  await bans.stop()
  const { bans: kept } = await open()
  expect(kept.length).toBe(BANS_MAX)
  expect(kept[0]!.peer).toBe('1')
})

test('what is no ban is left out, and the rest stands', async () => {
  const good = { peer: 'a', sinceMs: 1, reason: 'x' }
  await writeFile(path, `nonsense\n${JSON.stringify(good)}\n{"peer":1}\n{"peer":"b","sin`)
  expect((await open()).bans).toEqual([good])
})

test('reasons are cut, so that nobody can fill the disk with them', async () => {
  const bans = await open()
  bans.add({ peer: 'a', sinceMs: 1, reason: 'x'.repeat(1e6) })
  await bans.stop()
  expect((await readFile(path, 'utf8')).length).toBeLessThan(1000)
})
