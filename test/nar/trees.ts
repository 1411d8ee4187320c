import fc from 'fast-check'

/** A tree to make NARs of. */
export type Tree =
  | { readonly type: 'file'; readonly content: Uint8Array; readonly executable: boolean }
  | { readonly type: 'symlink'; readonly target: Uint8Array }
  | { readonly type: 'directory'; readonly entries: readonly (readonly [Uint8Array, Tree])[] }

export function file(content: string | Uint8Array, executable = false): Tree {
  return { type: 'file', content: Buffer.from(content), executable }
}

export function symlink(target: string): Tree {
  return { type: 'symlink', target: Buffer.from(target) }
}

export function directory(entries: Record<string, Tree>): Tree {
  return {
    type: 'directory',
    entries: Object.entries(entries).map(([name, tree]) => [Buffer.from(name), tree]),
  }
}

export const COMPLICATED = directory({
  keep: directory({ '.keep': file('') }),
  '.keep': file(''),
  aa: symlink('/nix/store/somewhereelse'),
})

/** A tree with all that a NAR can have, in few bytes. */
export const SMALL = directory({
  a: file('one'),
  'a.sh': file('#!/bin/sh\n', true),
  dir: directory({ empty: directory({}), nothing: file('') }),
  eight: file('12345678'),
  link: symlink('a'),
})

/** The NAR of a tree, written down in the simplest way: entries in the order given. */
export function narOf(tree: Tree): Buffer {
  return Buffer.concat([narString('nix-archive-1'), nodeOf(tree)])
}

export function narString(text: string | Uint8Array): Buffer {
  const bytes = Buffer.from(text)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(bytes.length))
  return Buffer.concat([length, bytes, Buffer.alloc((8 - (bytes.length % 8)) % 8)])
}

export function narStrings(...texts: (string | Uint8Array)[]): Buffer {
  return Buffer.concat(texts.map(narString))
}

function nodeOf(tree: Tree): Buffer {
  switch (tree.type) {
    case 'file': {
      const executable = tree.executable ? ['executable', ''] : []
      return narStrings('(', 'type', 'regular', ...executable, 'contents', tree.content, ')')
    }
    case 'symlink':
      return narStrings('(', 'type', 'symlink', 'target', tree.target, ')')
    case 'directory': {
      const entries = tree.entries
        .toSorted(([a], [b]) => Buffer.compare(a, b))
        .map(([name, node]) =>
          Buffer.concat([
            narStrings('entry', '(', 'name', name, 'node'),
            nodeOf(node),
            narString(')'),
          ]),
        )
      return Buffer.concat([narStrings('(', 'type', 'directory'), ...entries, narString(')')])
    }
  }
}

/** Directories within each other, the file in the innermost at that level; the root's is 1. */
export function nested(levels: number): Tree {
  let tree = file('deep')
  for (let level = 1; level < levels; level++) tree = directory({ d: tree })
  return tree
}

/** Any tree, its names of any bytes that Nix allows. */
export function anyTree(contentBytesMax: number): fc.Arbitrary<Tree> {
  const name = fc
    .uint8Array({ minLength: 1, maxLength: 12 })
    .map((bytes) => bytes.map((byte) => (byte === 0x2f || byte === 0 ? 0x61 : byte)))
    .filter((bytes) => !/^\.{1,2}$/.test(Buffer.from(bytes).toString('latin1')))
  const content = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc
      .tuple(fc.nat(contentBytesMax), fc.nat(255))
      .map(([length, fill]) => new Uint8Array(length).map((_, i) => (i * fill) >> 3)),
  )
  const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.record({
        type: fc.constant('file' as const),
        content,
        executable: fc.boolean(),
      }),
      fc.record({
        type: fc.constant('symlink' as const),
        target: fc
          .uint8Array({ minLength: 1, maxLength: 30 })
          .map((bytes) => bytes.map((byte) => byte || 1)),
      }),
      fc.record({
        type: fc.constant('directory' as const),
        entries: fc.uniqueArray(fc.tuple(name, tie('tree')), {
          maxLength: 6,
          selector: ([it]) => Buffer.from(it).toString('latin1'),
        }),
      }),
    ),
  }))
  return tree
}

/** Cuts bytes into pieces, their lengths given in turn and from the beginning again. */
export async function* inPieces(
  bytes: Uint8Array,
  lengths: readonly number[],
): AsyncGenerator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const length = lengths[i % lengths.length]!
    yield bytes.subarray(at, at + length)
    at += length
  }
}
