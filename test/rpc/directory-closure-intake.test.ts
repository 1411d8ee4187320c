import { expect, test } from 'vitest'
import { DirectoryNode } from '../../src/castore/model/node.ts'
import { DirectoryClosureIntake } from '../../src/rpc/directory-closure-intake.ts'
import type { RpcError } from '../../src/rpc/rpc-error.ts'
import { DIRECTORIES, directoryOf } from '../fixtures/directories.ts'

const { A, B, C, D, E } = DIRECTORIES

function codeOf(work: () => unknown): string {
  try {
    work()
    return 'none'
  } catch (error) {
    return (error as RpcError).fault.code
  }
}

test('the root is the last new one; what comes again counts once', () => {
  const intake = new DirectoryClosureIntake({})
  expect([A, A, B, D, B, E, A].map((it) => intake.add(it))).toEqual([
    ...[true, false, true, true, false, true, false],
  ])
  expect(intake.finish()).toEqual(E.digest)
})

test('what is held already may be referred to, with one size', () => {
  const intake = new DirectoryClosureIntake({})
  intake.add(B)
  const other = directoryOf({ a: new DirectoryNode(A.digest, 1) })
  expect(codeOf(() => intake.add(other))).toBe('bad-request')
})

test('nothing may be left over, and something must come', () => {
  const intake = new DirectoryClosureIntake({})
  expect(codeOf(() => intake.finish())).toBe('bad-request')
  for (const it of [A, B, C]) intake.add(it)
  expect(codeOf(() => intake.finish())).toBe('bad-request')
})

test('a stream has only so many Directories and bytes', () => {
  const few = new DirectoryClosureIntake({}, { directoriesMax: 2 })
  for (const it of [A, A, B]) few.add(it)
  expect(codeOf(() => few.add(D))).toBe('too-much')
  const bytesMax = B.encoded.length + D.encoded.length
  const short = new DirectoryClosureIntake({}, { bytesMax })
  for (const it of [A, B, D]) short.add(it)
  expect(codeOf(() => short.add(D))).toBe('too-much') // what comes again is not free
})

test('a child comes before all that refer to it, even where the root refers to both', () => {
  const intake = new DirectoryClosureIntake({})
  intake.add(B) // which refers to A
  expect(codeOf(() => intake.add(A))).toBe('bad-request')
})
