import { expect, test } from 'vitest'
import type { ChunkRef } from '../../../src/castore/blob-store.ts'
import { Digest } from '../../../src/foundation/digest.ts'
import { ingestNar } from '../../../src/nar/ingest-nar.ts'
import { toldFalsehood } from '../../../src/peers/pulls/told-falsehood.ts'
import { call, noise } from '../../fixtures/content.ts'
import { memoryCastore } from '../../fixtures/neighbour.ts'
import { directory, file, inPieces, narOf } from '../../nar/trees.ts'

const BIG = noise(2_000_000, 'big')
const SMALL = noise(300, 'small')
const TREE = directory({
  a: file(SMALL),
  b: directory({ c: file(BIG), d: file('') }),
  e: file('e'),
})

async function world() {
  const castore = memoryCastore()
  const told: ChunkRef[] = []
  const onStored = (chunk: ChunkRef): void => void told.push(chunk)
  const { node } = await ingestNar(inPieces(narOf(TREE), [70_000]), castore, call, { onStored })
  const judge = (chunks: readonly ChunkRef[]) => toldFalsehood(chunks, node, castore, call)
  return { told, judge }
}

const ref = (bytes: Uint8Array): ChunkRef => ({
  digest: Digest.ofContent(bytes),
  size: bytes.length,
})

test('what ingesting tells is true, whole or as far as it goes', async () => {
  const { told, judge } = await world()
  expect(told.length).toBeGreaterThan(4)
  for (let count = 0; count <= told.length; count++) {
    expect(await judge(told.slice(0, count))).toBeUndefined()
  }
})

test('who cuts files in another way tells the truth as well', async () => {
  const { judge } = await world()
  const halves = [ref(BIG.subarray(0, 999_999)), ref(BIG.subarray(999_999))]
  expect(await judge([ref(SMALL), ...halves, ref(Buffer.from('e'))])).toBeUndefined()
})

test('chunks that do not occur, or not there, are found out', async () => {
  const { told, judge } = await world()
  const invented = { ...told[1]!, digest: Digest.of(noise(32, 'x')) }
  expect(await judge(told.with(1, invented))).toMatch('does not occur')
  expect(await judge(told.toReversed())).toBeDefined()
  expect(await judge([...told, ref(SMALL)])).toMatch('more chunks')
  expect(await judge(told.with(0, { ...told[0]!, size: 301 }))).toMatch('behind the end')
})
