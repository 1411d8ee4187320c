import { expect, test } from 'vitest'
import { MemoryRecordStore } from '../../src/castore/stores/memory-record-store.ts'
import { StorePath } from '../../src/nix/store-path.ts'
import { PathInfoError } from '../../src/pathinfo/path-info-error.ts'
import { SHARE_CHOICES_MAX, ShareChoices } from '../../src/pathinfo/share-choices.ts'
import { pathNamed } from '../fixtures/claims.ts'
import { call, noise } from '../fixtures/content.ts'

const [A, B, C] = ['a', 'b', 'c'].map(pathNamed) as [StorePath, StorePath, StorePath]

test('what was chosen last counts, and is there after a restart', async () => {
  const records = new MemoryRecordStore()
  const choices = await ShareChoices.load({ records }, call)
  await choices.choose([A, B], true, call)
  await choices.choose([B], false, call)
  for (const it of [choices, await ShareChoices.load({ records }, call)]) {
    expect([A, B, C].map((path) => it.of(path))).toEqual([true, false, undefined])
    expect(it.fingerprint).toBe(choices.fingerprint)
  }
})

test('equal choices have equal fingerprints, in whatever order they were made', async () => {
  const load = () => ShareChoices.load({ records: new MemoryRecordStore() }, call)
  const [one, other] = [await load(), await load()]
  await one.choose([A, B], true, call)
  await other.choose([B], true, call)
  expect(other.fingerprint).not.toBe(one.fingerprint)
  await other.choose([A], true, call)
  expect(other.fingerprint).toBe(one.fingerprint)
  await other.choose([A], false, call)
  expect(other.fingerprint).not.toBe(one.fingerprint)
})

test('there are no more than there may be, and those that are can be changed', async () => {
  const records = new MemoryRecordStore()
  const choices = await ShareChoices.load({ records }, call)
  const many = Array.from({ length: SHARE_CHOICES_MAX }, (_, i) =>
    StorePath.of(noise(20, i), 'many'),
  )
  await choices.choose(many, true, call)
  const error = await choices.choose([A], true, call).catch((thrown) => thrown)
  expect(error).toBeInstanceOf(PathInfoError)
  expect(error.fault.code).toBe('too-many-choices')
  expect(choices.of(A)).toBeUndefined()
  await choices.choose(many.slice(0, 2), false, call)
  expect(choices.of(many[0]!)).toBe(false)
})

test('a choice that can not be read is no choice to share', async () => {
  const records = new MemoryRecordStore()
  for (const text of ['{', '{"shared":"no"}', '1']) {
    await records.put('share-choice', [{ key: A.hash, bytes: Buffer.from(text) }], call)
    const error = await ShareChoices.load({ records }, call).catch((thrown) => thrown)
    expect(error).toBeInstanceOf(PathInfoError)
  }
})
