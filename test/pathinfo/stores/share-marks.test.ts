import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { silentLog } from '../../../src/foundation/log.ts'
import type { Mark, MarkKind, ShareMarks } from '../../../src/pathinfo/share-marks.ts'
import { LevelShareMarks } from '../../../src/pathinfo/stores/level-share-marks.ts'
import { MemoryShareMarks } from '../../../src/pathinfo/stores/memory-share-marks.ts'
import { noise } from '../../fixtures/content.ts'
import { temporaryDirectory } from '../../fixtures/temporary-directory.ts'

const KINDS = ['shared-path', 'private-path', 'directory', 'blob', 'shared-root'] as const
const STATE = { generation: 7, floor: 5, policy: 'p', isClosed: true }

interface Made extends AsyncDisposable {
  readonly marks: ShareMarks
}

const inMemory = async (): Promise<Made> => {
  const marks = new MemoryShareMarks()
  return { marks, [Symbol.asyncDispose]: () => marks.close() }
}

const inLevel = async (): Promise<Made> => {
  const directory = await temporaryDirectory()
  const marks = await LevelShareMarks.open(join(directory.path, 'shared'), silentLog)
  return {
    marks,
    [Symbol.asyncDispose]: async () => {
      await marks.close()
      await directory[Symbol.asyncDispose]()
    },
  }
}

const marksOf = (kind: MarkKind, from: number, to: number): Mark[] =>
  Array.from({ length: to - from }, (_, i) => ({ kind, key: noise(32, from + i) }))

for (const [label, make] of [
  ['marks in memory', inMemory],
  ['marks in Level', inLevel],
] as const) {
  test(`${label}: a mark is of its kind, and of the generation it was made in last`, async () => {
    await using made = await make()
    const { marks } = made
    for (const [i, kind] of KINDS.entries()) {
      await marks.mark([{ kind, key: noise(32) }], i + 1)
    }
    expect(KINDS.map((kind) => marks.generationOf(kind, noise(32)))).toEqual([1, 2, 3, 4, 5])
    expect(marks.generationOf('blob', noise(32, 'other'))).toBe(0)
    await marks.mark([{ kind: 'blob', key: noise(32) }], 9)
    expect(marks.generationOf('blob', noise(32))).toBe(9)
    expect(marks.generationOf('directory', noise(32))).toBe(3)
  })

  test(`${label}: the state is what was set last`, async () => {
    await using made = await make()
    const { marks } = made
    expect(await marks.state()).toBeUndefined()
    await marks.setState({ ...STATE, generation: 1 })
    await marks.setState(STATE)
    expect(await marks.state()).toEqual(STATE)
  })

  test(`${label}: what is older is dropped, and nothing else`, async () => {
    await using made = await make()
    const { marks } = made
    await marks.setState(STATE)
    await marks.mark(marksOf('blob', 0, 5_000), 1)
    await marks.mark(marksOf('blob', 1_000, 1_100), 2)
    await marks.mark(marksOf('directory', 0, 10), 3)
    const dropping = marks.dropBefore(2)
    await marks.mark(marksOf('blob', 4_900, 5_000), 2)
    await dropping
    const held = Array.from({ length: 5_000 }, (_, i) => marks.generationOf('blob', noise(32, i)))
    expect(held.map((it, i) => (it > 0 ? i : -1)).filter((i) => i >= 0)).toEqual([
      ...Array.from({ length: 100 }, (_, i) => 1_000 + i),
      ...Array.from({ length: 100 }, (_, i) => 4_900 + i),
    ])
    expect(marks.generationOf('directory', noise(32, 3))).toBe(3)
    expect(await marks.state()).toEqual(STATE)
  })
}

test('marks in Level are there when they are opened again, unless they were deleted', async () => {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'shared')
  const mark: Mark = { kind: 'blob', key: noise(32) }
  const open = () => LevelShareMarks.open(path, silentLog)
  const first = await open()
  await first.mark([mark], 4)
  await first.setState(STATE)
  await first.close()
  const second = await open()
  expect(second.generationOf(mark.kind, mark.key)).toBe(4)
  expect(await second.state()).toEqual(STATE)
  await second.close()
  await rm(path, { recursive: true })
  const third = await open()
  expect(third.generationOf(mark.kind, mark.key)).toBe(0)
  expect(await third.state()).toBeUndefined()
  await third.close()
})

test('marks in Level that can not be read are begun anew', async () => {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'shared')
  const first = await LevelShareMarks.open(path, silentLog)
  await first.setState(STATE)
  await first.close()
  await writeFile(join(path, 'CURRENT'), 'nothing of that kind\n')
  const again = await LevelShareMarks.open(path, silentLog)
  expect(await again.state()).toBeUndefined()
  await again.close()
})
