import { expect, test } from 'vitest'
import type { Castore } from '../../src/castore/castore.ts'
import { FileNode } from '../../src/castore/model/node.ts'
import { MemoryRecordStore } from '../../src/castore/stores/memory-record-store.ts'
import { recordCastore } from '../../src/castore/stores/record-castore.ts'
import { Digest } from '../../src/foundation/digest.ts'
import { NarError } from '../../src/nar/nar-error.ts'
import { MEASURING_MAX, NarMeasures } from '../../src/nar/nar-measures.ts'
import { call } from '../fixtures/content.ts'
import { settled } from '../foundation/manual-clock.ts'

/** A castore that counts how often chunks are read, and may hold that up. */
function counted() {
  const castore = recordCastore({ records: new MemoryRecordStore() })
  const gate = { reads: 0, opened: Promise.resolve() }
  const readChunks: Castore['blobs']['readChunks'] = async (digests, call) => {
    gate.reads++
    await gate.opened
    return await castore.blobs.readChunks(digests, call)
  }
  const layouts = castore.blobs.layouts.bind(castore.blobs)
  const open = castore.blobs.open.bind(castore.blobs)
  const blobs = { layouts, open, readChunks }
  const fileOf = async (text: string): Promise<FileNode> => {
    const [digest] = await castore.blobs.putSmall([Buffer.from(text)], call)
    return new FileNode(digest!, text.length, false)
  }
  return { from: { ...castore, blobs }, gate, fileOf }
}

test('a NAR is measured once, however often it is asked for', async () => {
  const { from, gate, fileOf } = counted()
  const measures = new NarMeasures({ from })
  const file = await fileOf('Hello World!')
  const at = () => measures.measure(file, call)
  const [first, second] = await Promise.all([at(), at()])
  expect(Buffer.from(first.narSha256).toString('hex')).toMatch(/^03e7f63be30b065d/)
  expect(first.narSize).toBe(128)
  expect(second).toBe(first)
  expect(await at()).toBe(first)
  expect(gate.reads).toBe(1)
})

test('a failure is not remembered', async () => {
  const { from, fileOf } = counted()
  const measures = new NarMeasures({ from })
  const file = new FileNode(Digest.ofContent(Buffer.from('later')), 5, false)
  await expect(measures.measure(file, call)).rejects.toThrow(NarError)
  await fileOf('later')
  expect((await measures.measure(file, call)).narSize).toBe(120)
})

test('the one that was wanted least recently is forgotten', async () => {
  const { from, gate, fileOf } = counted()
  const measures = new NarMeasures({ from }, { rememberedMax: 2 })
  const [a, b, c] = await Promise.all(['a', 'b', 'c'].map(fileOf))
  for (const file of [a, b, a, c]) await measures.measure(file!, call)
  expect(gate.reads).toBe(3)
  await measures.measure(a!, call)
  expect(gate.reads).toBe(3)
  await measures.measure(b!, call)
  expect(gate.reads).toBe(4)
})

test('only so many are measured at once', async () => {
  const { from, gate, fileOf } = counted()
  const measures = new NarMeasures({ from })
  const opening = Promise.withResolvers<void>()
  gate.opened = opening.promise
  const names = Array.from({ length: MEASURING_MAX + 3 }, (_, i) => `file ${i}`)
  const files = await Promise.all(names.map(fileOf))
  const measuring = files.map((file) => measures.measure(file, call))
  for (let i = 0; i < 20; i++) await settled()
  expect(gate.reads).toBe(MEASURING_MAX)
  opening.resolve()
  await Promise.all(measuring)
  expect(gate.reads).toBe(names.length)
})
