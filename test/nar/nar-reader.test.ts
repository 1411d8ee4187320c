import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { NarError } from '../../src/nar/nar-error.ts'
import { NarReader, type NarVisitor } from '../../src/nar/nar-reader.ts'
import {
  anyTree,
  COMPLICATED,
  directory,
  file,
  inPieces,
  narOf,
  narString,
  narStrings,
  nested,
  SMALL,
  symlink,
  type Tree,
} from './trees.ts'

/** Makes a tree of what a reader finds. */
class TreeVisitor implements NarVisitor {
  tree: Tree | undefined
  readonly #open: [Uint8Array, Tree][][] = []
  #file: { name: Uint8Array | undefined; executable: boolean; parts: Uint8Array[] } | undefined

  directory(name: Uint8Array | undefined): void {
    const entries: [Uint8Array, Tree][] = []
    this.#add(name, { type: 'directory', entries })
    this.#open.push(entries)
  }

  directoryEnd(): void {
    this.#open.pop()
  }

  file(name: Uint8Array | undefined, _size: number, executable: boolean): void {
    this.#file = { name, executable, parts: [] }
  }

  content(bytes: Uint8Array): void {
    this.#file!.parts.push(bytes)
  }

  fileEnd(): void {
    const { name, executable, parts } = this.#file!
    this.#add(name, { type: 'file', content: Buffer.concat(parts), executable })
  }

  symlink(name: Uint8Array | undefined, target: Uint8Array): void {
    this.#add(name, { type: 'symlink', target })
  }

  #add(name: Uint8Array | undefined, tree: Tree): void {
    if (name === undefined) this.tree = tree
    else this.#open.at(-1)!.push([name, tree])
  }
}

async function read(nar: Uint8Array, lengths: readonly number[] = [nar.length]): Promise<Tree> {
  const visitor = new TreeVisitor()
  const reader = new NarReader(visitor)
  for await (const piece of inPieces(nar, lengths)) reader.push(piece)
  reader.end()
  return visitor.tree!
}

/** The fault that a NAR is refused with, which must be the same however it is cut. */
async function faultOf(nar: Uint8Array): Promise<unknown> {
  const faults = []
  for (const lengths of [[nar.length || 1], [1], [7, 13]]) {
    faults.push(
      await read(nar, lengths).then(
        () => 'accepted',
        (error) => {
          expect(error).toBeInstanceOf(NarError)
          return error.fault
        },
      ),
    )
  }
  expect(faults[1]).toEqual(faults[0])
  expect(faults[2]).toEqual(faults[0])
  return faults[0]
}

const MAGIC = narString('nix-archive-1')
const OPEN_DIRECTORY = narStrings('(', 'type', 'directory')

function entry(name: string | Uint8Array, node = narOf(file('')).subarray(MAGIC.length)): Buffer {
  return Buffer.concat([narStrings('entry', '(', 'name', name, 'node'), node, narString(')')])
}

function directoryNar(...entries: Buffer[]): Buffer {
  return Buffer.concat([MAGIC, OPEN_DIRECTORY, ...entries, narString(')')])
}

/** Where the first name of a directory at the root stands. */
const NAME_OFFSET = MAGIC.length + OPEN_DIRECTORY.length + narStrings('entry', '(', 'name').length

/** The bytes with those at an offset replaced. */
function patched(nar: Uint8Array, offset: number, ...bytes: number[]): Buffer {
  const copy = Buffer.from(nar)
  copy.set(bytes, offset)
  return copy
}

describe('a NAR reader', () => {
  test('finds what is in a NAR', async () => {
    expect(narOf(await read(narOf(SMALL)))).toEqual(narOf(SMALL))
    expect(narOf(await read(narOf(COMPLICATED)))).toEqual(narOf(COMPLICATED))
    expect(await read(narOf(symlink('x')))).toMatchObject({ type: 'symlink' })
  })

  test('finds the same in a NAR that comes in any pieces', async () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(anyTree(300), lengths, async (tree, cuts) => {
        const nar = narOf(tree)
        expect(narOf(await read(nar, cuts)).equals(nar)).toBe(true)
      }),
    )
  })

  test('takes names of 255 bytes, targets of 4095 and 64 levels', async () => {
    for (const tree of [
      directory({ ['n'.repeat(255)]: file('') }),
      symlink('t'.repeat(4095)),
      nested(64),
    ]) {
      for (const lengths of [[1_000_000], [1], [4000]]) {
        expect(narOf(await read(narOf(tree), lengths))).toEqual(narOf(tree))
      }
    }
  })

  test('refuses a NAR cut off at any byte', async () => {
    const nar = narOf(SMALL)
    for (let length = 0; length < nar.length; length++) {
      const fault = await faultOf(nar.subarray(0, length))
      expect(fault).toEqual({ code: 'truncated', offset: length })
    }
  })

  test('refuses a NAR with any byte flipped that is not content, a name or a target', async () => {
    const nar = narOf(directory({ a: file('1'), b: symlink('t') }))
    for (let at = 0; at < nar.length; at++) {
      const flipped = patched(nar, at, nar[at]! ^ 0x80)
      const tree = await read(flipped).catch((error) => error)
      if (tree instanceof Error) expect(tree).toBeInstanceOf(NarError)
      else expect(narOf(tree)).toEqual(flipped)
    }
  })

  test('takes arbitrary bytes for no NAR, and says so with a fault', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(600), fc.uint8Array({ minLength: 1 }), async (at, bytes) => {
        const nar = narOf(SMALL)
        const broken = Buffer.concat([nar.subarray(0, at), bytes, nar.subarray(at)])
        const tree = await read(broken).catch((error) => error)
        if (tree instanceof Error) expect(tree).toBeInstanceOf(NarError)
        else expect(narOf(tree)).toEqual(broken)
      }),
    )
  })
})

describe('a NAR reader refuses', () => {
  test.each<[string, Buffer, string, number]>([
    ['another header', Buffer.from('PK\x03\x04 this is no NAR'), 'bad-magic', 0],
    ['another version', narOf(file('')).fill('2', 20, 21), 'bad-magic', 20],
    ['padding of the header', patched(narOf(file('')), 22, 1), 'bad-padding', 22],
    [
      'a byte behind the end',
      Buffer.concat([narOf(SMALL), Buffer.of(0)]),
      'trailing-bytes',
      narOf(SMALL).length,
    ],
    ['an unknown type', Buffer.concat([MAGIC, narStrings('(', 'type', 'fifo')]), 'bad-token', 56],
    ['an empty name', directoryNar(entry('')), 'bad-name', NAME_OFFSET],
    ['the name .', directoryNar(entry('.')), 'bad-name', NAME_OFFSET],
    ['the name ..', directoryNar(entry('..')), 'bad-name', NAME_OFFSET],
    ['a slash in a name', directoryNar(entry('a/b')), 'bad-name', NAME_OFFSET],
    ['a NUL in a name', directoryNar(entry('a\0')), 'bad-name', NAME_OFFSET],
    ['a name of 256 bytes', directoryNar(entry('n'.repeat(256))), 'bad-name', NAME_OFFSET],
    [
      'a padded name',
      patched(directoryNar(entry('a')), NAME_OFFSET + 9, 9),
      'bad-padding',
      NAME_OFFSET + 9,
    ],
    [
      'two of a name',
      directoryNar(entry('a'), entry('a')),
      'duplicate',
      NAME_OFFSET + entry('a').length,
    ],
    [
      'unsorted names',
      directoryNar(entry('b'), entry('a')),
      'unsorted',
      NAME_OFFSET + entry('a').length,
    ],
    [
      'names sorted as text',
      directoryNar(entry('a'), entry('B')),
      'unsorted',
      NAME_OFFSET + entry('a').length,
    ],
    [
      'a prefix after its word',
      directoryNar(entry('aa'), entry('a')),
      'unsorted',
      NAME_OFFSET + entry('aa').length,
    ],
    ['an empty target', narOf(symlink('')), 'bad-target', 88],
    ['a NUL in a target', narOf(symlink('a\0b')), 'bad-target', 88],
    ['a target of 4096 bytes', narOf(symlink('t'.repeat(4096))), 'bad-target', 88],
    [
      'padding of content',
      patched(narOf(file('1')), narOf(file('1')).length - 17, 1),
      'bad-padding',
      103,
    ],
    ['a keyword with a longer padding', patched(narOf(file('')), 33, 1), 'bad-padding', 33],
  ])('%s', async (_, nar, code, offset) => {
    expect(await faultOf(nar)).toEqual({ code, offset })
  })

  test('65 levels', async () => {
    const nar = narOf(nested(65))
    expect(await faultOf(nar)).toMatchObject({ code: 'too-deep' })
    expect(await faultOf(narOf(nested(1000)))).toMatchObject({ code: 'too-deep' })
  })

  test('an executable marker with a value', async () => {
    const nar = Buffer.concat([
      MAGIC,
      narStrings('(', 'type', 'regular', 'executable', 'yes', 'contents', '', ')'),
    ])
    expect(await faultOf(nar)).toMatchObject({ code: 'bad-token' })
  })

  test('a file without contents, which Nix would not write', async () => {
    const nar = Buffer.concat([MAGIC, narStrings('(', 'type', 'regular', ')')])
    expect(await faultOf(nar)).toMatchObject({ code: 'bad-token' })
  })

  test('lengths that promise more than there can be, without waiting for it', async () => {
    const huge = Buffer.alloc(8, 0xff)
    const begin = narOf(file('')).subarray(0, -24)
    const nar = Buffer.concat([begin, huge])
    expect(await faultOf(nar)).toEqual({ code: 'too-large', offset: begin.length })
    const name = directoryNar(entry('a')).subarray(0, NAME_OFFSET)
    expect(await faultOf(Buffer.concat([name, huge]))).toMatchObject({ code: 'bad-name' })
  })

  test('a file that is shorter than it says', async () => {
    const nar = patched(narOf(file('x'.repeat(64))), 88, 0, 0, 0, 0, 0, 0x10)
    expect(await faultOf(nar)).toEqual({ code: 'truncated', offset: nar.length })
  })
})
