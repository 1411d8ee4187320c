import { expect, test } from 'vitest'
import type { ChunkRef } from '../../src/castore/blob-store.ts'
import type { Call } from '../../src/foundation/call.ts'
import { ingestNar } from '../../src/nar/ingest-nar.ts'
import { call, noise } from '../fixtures/content.ts'
import { memoryCastore } from '../fixtures/neighbour.ts'
import { directory, file, inPieces, narOf, SMALL } from './trees.ts'

/** Small files before, between and behind large ones; one of them twice. */
const CONTENTS = [
  ...[noise(10, 'a'), noise(3_000_000, 'b'), noise(70_000, 'c'), noise(0), noise(400_000, 'd')],
  ...[noise(10, 'a'), noise(1_500_000, 'e'), noise(5, 'f')],
]
const TREE = directory({
  ...Object.fromEntries(CONTENTS.map((content, i) => [`file-${i}`, file(content)])),
  sub: directory({ last: file(noise(90, 'g')) }),
})
const ALL = Buffer.concat([...CONTENTS, noise(90, 'g')])

test.each([[1_000], [300_000], [4_000_000]])(
  'each chunk is told once it is stored, in the order of the NAR, in pieces of %i',
  async (piece) => {
    const castore = memoryCastore()
    const told: ChunkRef[] = []
    const stored: Promise<(number | undefined)[]>[] = []
    const onStored = (chunk: ChunkRef): void => {
      told.push(chunk)
      stored.push(castore.blobs.chunkSizes([chunk.digest], call))
    }
    const cut = inPieces(narOf(TREE), [piece])
    const heard = await ingestNar(cut, castore, call, { onStored })
    const held = await Promise.all(stored)
    expect(held.flat()).toEqual(told.map(({ size }) => size))
    const digests = told.map(({ digest }) => digest)
    const bytes = (await castore.blobs.readChunks(digests, call)).map((it) => it!)
    expect(Buffer.concat(bytes).equals(ALL)).toBe(true)
    const quiet = await ingestNar(inPieces(narOf(TREE), [piece]), memoryCastore(), call)
    expect(heard.node).toEqual(quiet.node)
  },
)

test('a chunk that could not be stored is not told', async () => {
  const castore = memoryCastore()
  const told: ChunkRef[] = []
  const over = new AbortController()
  const broken: Call = { signal: over.signal }
  over.abort(new Error('taken back'))
  const onStored = (chunk: ChunkRef): void => void told.push(chunk)
  await expect(
    ingestNar(inPieces(narOf(SMALL), [9]), castore, broken, { onStored }),
  ).rejects.toThrow('taken back')
  expect(told).toEqual([])
})
