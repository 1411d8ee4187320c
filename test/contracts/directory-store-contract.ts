import { expect, test } from 'vitest'
import { CastoreError } from '../../src/castore/castore-error.ts'
import type { DirectoryStore } from '../../src/castore/directory-store.ts'
import { Directory } from '../../src/castore/model/directory.ts'
import { DirectoryNode } from '../../src/castore/model/node.ts'
import { Digest } from '../../src/foundation/digest.ts'
import { call, collect } from '../fixtures/content.ts'
import { DIRECTORIES } from '../fixtures/directories.ts'

const { A, B, C, D, E, COMPLICATED, KEEP } = DIRECTORIES

async function faultOf(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => undefined,
    (error: unknown) => (error instanceof CastoreError ? error.fault.code : error),
  )
}

/** What every Directory store keeps to. Each scenario gets a fresh store. */
export function directoryStoreContract(
  label: string,
  make: () => Promise<{ directories: DirectoryStore } & AsyncDisposable>,
): void {
  test(`${label}: a missing Directory is undefined, its closure is nothing`, async () => {
    await using made = await make()
    expect(await made.directories.get(COMPLICATED.digest, call)).toBeUndefined()
    expect(await collect(made.directories.closure(COMPLICATED.digest, call))).toEqual([])
  })

  test(`${label}: what was put is read back the same`, async () => {
    await using made = await make()
    await made.directories.put([KEEP, COMPLICATED], call)
    const read = await made.directories.get(COMPLICATED.digest, call)
    expect(read?.digest).toEqual(COMPLICATED.digest)
    expect(read?.size).toBe(4)
  })

  test(`${label}: children may come with an earlier put`, async () => {
    await using made = await make()
    await made.directories.put([A], call)
    await made.directories.put([B], call)
    expect((await made.directories.get(B.digest, call))?.size).toBe(1)
  })

  test(`${label}: a parent whose child is not there is refused`, async () => {
    await using made = await make()
    expect(await faultOf(made.directories.put([B], call))).toBe('incomplete')
    expect(await made.directories.get(B.digest, call)).toBeUndefined()
  })

  test(`${label}: a parent that is wrong about a child's size is refused`, async () => {
    await using made = await make()
    const liar = Directory.of([{ name: Buffer.from('a'), node: new DirectoryNode(A.digest, 7) }])
    expect(await faultOf(made.directories.put([A, liar], call))).toBe('invalid')
    await made.directories.put([A], call)
    expect(await faultOf(made.directories.put([liar], call))).toBe('invalid')
  })

  test(`${label}: a closure has each Directory once, parents before children`, async () => {
    await using made = await make()
    await made.directories.put([A, B, C, D, E], call)
    const closure = await collect(made.directories.closure(E.digest, call))
    expect(closure.map((it) => it.digest.hex)).toEqual([E, D, A, B].map((it) => it.digest.hex))
  })

  test(`${label}: a wide and deep closure comes whole`, async () => {
    await using made = await make()
    let all: Directory[] = [A]
    for (let level = 0; level < 3; level++) {
      const children = all.slice(-(12 ** level))
      all = all.concat(
        Array.from({ length: 12 }, (_, i) =>
          Directory.of(
            children.map((child, j) => ({
              name: Buffer.from(`${level}-${i}-${j}`),
              node: new DirectoryNode(child.digest, child.size),
            })),
          ),
        ),
      )
    }
    const top = Directory.of(
      all.map((it, i) => ({
        name: Buffer.from(`${i}`),
        node: new DirectoryNode(it.digest, it.size),
      })),
    )
    await made.directories.put([...all, top], call)
    const closure = await collect(made.directories.closure(top.digest, call))
    expect(new Set(closure.map((it) => it.digest.hex)).size).toBe(closure.length)
    expect(closure.length).toBe(new Set(all.map((it) => it.digest.hex)).size + 1)
  })

  test(`${label}: an unknown digest among known ones stays unknown`, async () => {
    await using made = await make()
    await made.directories.put([A], call)
    expect(await made.directories.get(Digest.ofContent(Buffer.from('x')), call)).toBeUndefined()
  })
}
