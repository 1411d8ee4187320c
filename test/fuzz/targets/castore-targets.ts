import { mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { decodeWhereabouts, encodeWhereabouts } from '../../../src/adoption/whereabouts-codec.ts'
import { decodeBlobLayout, encodeBlobLayout } from '../../../src/castore/blob-layout-codec.ts'
import { CastoreError } from '../../../src/castore/castore-error.ts'
import { Directory } from '../../../src/castore/model/directory.ts'
import { decodeRoot, encodeRoot } from '../../../src/castore/model/directory-codec.ts'
import { DirectoryNode, FileNode, SymlinkNode } from '../../../src/castore/model/node.ts'
import { RECORD_KINDS, type RecordKind } from '../../../src/castore/record-store.ts'
import { decodeRemoval, encodeRemoval } from '../../../src/castore/stores/removal-codec.ts'
import {
  encodeRecordHeader,
  RECORD_HEADER_BYTES,
} from '../../../src/castore/stores/segment-record.ts'
import { SegmentRecordStore } from '../../../src/castore/stores/segment-record-store.ts'
import { equalBytes } from '../../../src/foundation/bytes.ts'
import { Digest } from '../../../src/foundation/digest.ts'
import { silentLog } from '../../../src/foundation/log.ts'
import { call, collect, noise } from '../../fixtures/content.ts'
import { type FuzzTarget, holds } from '../fuzz-target.ts'

const isCastoreError = (error: unknown): boolean => error instanceof CastoreError

const FILE = new FileNode(Digest.of(noise(32, 'file')), 1234, true)
const BELOW = new DirectoryNode(Digest.of(noise(32, 'below')), 7)
const LINK = new SymlinkNode(Buffer.from('/nix/store/elsewhere'))

const directory: FuzzTarget = {
  name: 'directory',
  seeds: [
    Directory.of([]),
    Directory.of([{ name: Buffer.from('a'), node: FILE }]),
    Directory.of(
      ['a', 'b', 'c', 'd', 'e', 'f'].map((name, i) => ({
        name: Buffer.from(name),
        node: [FILE, BELOW, LINK][i % 3]!,
      })),
    ),
  ].map(({ encoded }) => encoded),
  dictionary: ['.', '..', '/', '\0', Buffer.from([0x0a, 0x02, 0x0a, 0x00]), noise(32, 'digest')],
  isRefusal: isCastoreError,
  check: (input) => {
    const decoded = Directory.decode(input)
    holds(decoded.digest.equals(Digest.ofContent(input)), 'its digest is that of its bytes')
    const again = Directory.of(decoded.entries)
    holds(equalBytes(again.encoded, input), 'what is accepted is canonical')
  },
}

const root: FuzzTarget = {
  name: 'root',
  seeds: [FILE, BELOW, LINK].map((node) => encodeRoot(node)),
  isRefusal: isCastoreError,
  check: (input) => {
    holds(equalBytes(encodeRoot(decodeRoot(input)), input), 'what is accepted is canonical')
  },
}

const layout: FuzzTarget = {
  name: 'layout',
  seeds: [0, 1, 2, 30].map((count) =>
    encodeBlobLayout(
      Array.from({ length: count }, (_, i) => ({ digest: Digest.of(noise(32, i)), size: i + 1 })),
    ),
  ),
  isRefusal: isCastoreError,
  check: (input) => {
    const decoded = decodeBlobLayout(input)
    const again = decodeBlobLayout(encodeBlobLayout(decoded))
    const shown = (it: typeof decoded): string => it.map((c) => `${c.digest} ${c.size}`).join()
    holds(shown(again) === shown(decoded), 'it reads back')
  },
}

/** The note of removed records. */
const removal: FuzzTarget = {
  name: 'removal',
  seeds: [
    encodeRemoval([]),
    encodeRemoval([
      { kind: 'chunk', key: noise(32) },
      { kind: 'path-info', key: noise(20) },
    ]),
  ],
  isRefusal: isCastoreError,
  check: (input) => {
    const decoded = decodeRemoval(input)
    if (decoded !== undefined) {
      holds(
        Buffer.from(encodeRemoval(decoded)).equals(Buffer.from(input)),
        'it is written the same',
      )
    }
  },
}

/** Where adopted content lies. */
const whereabouts: FuzzTarget = {
  name: 'whereabouts',
  seeds: [encodeWhereabouts({ path: Buffer.from('/nix/store/a'), offset: 262_144 })],
  isRefusal: isCastoreError,
  check: (input) => {
    const decoded = decodeWhereabouts(input)
    if (decoded === undefined) return
    holds(decoded.path[0] === 0x2f && !decoded.path.includes(0), 'it is an absolute path')
    holds(Number.isSafeInteger(decoded.offset) && decoded.offset >= 0, 'it is an offset')
  },
}

function record(kind: RecordKind, content: string): Buffer {
  const bytes = Buffer.from(content)
  const isAddressed = kind === 'chunk' || kind === 'directory'
  const key = isAddressed ? Digest.ofContent(bytes).bytes : noise(20, content)
  const header = Buffer.alloc(RECORD_HEADER_BYTES)
  const check = isAddressed ? 0 : crc32(bytes)
  const size = bytes.length
  encodeRecordHeader({ kind, key, storedBytes: size, size, packing: 'raw', check }, header, 0)
  return Buffer.concat([header, bytes])
}

/** A segment file as a crash, a bad disk or an attacker left it: a store opens on it all the same. */
const segment: FuzzTarget = {
  name: 'segment',
  seeds: [
    Buffer.alloc(0),
    record('chunk', 'one'),
    Buffer.concat([
      record('chunk', 'one'),
      record('path-info', 'two'),
      record('chunk', 'one'),
      record('layout', 'three'),
    ]),
  ],
  dictionary: [record('chunk', 'four'), record('path-info', 'two')],
  testRuns: 150,
  isRefusal: isCastoreError,
  check: async (input) => {
    const directory = join(tmpdir(), `cairn-fuzz-segment-${process.pid}`)
    const segments = join(directory, 'segments')
    await mkdir(segments, { recursive: true })
    try {
      await writeFile(join(segments, '00000000.seg'), input)
      const first = await contentOf(directory)
      holds((await contentOf(directory)) === first, 'a second start finds the same')
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  },
}

/** All that a store on a directory holds; reads check each record, and can be written after. */
async function contentOf(directory: string): Promise<string> {
  await using store = await SegmentRecordStore.open({ directory, log: silentLog })
  const found: string[] = []
  for (const kind of Object.keys(RECORD_KINDS) as RecordKind[]) {
    const keys = await collect(store.keys(kind, call))
    const records = await store.get(kind, keys, call)
    for (const [i, bytes] of records.entries()) {
      found.push(`${kind} ${Buffer.from(keys[i]!).toString('hex')} ${bytes?.length}`)
    }
  }
  return found.join('\n')
}

export const CASTORE_TARGETS: readonly FuzzTarget[] = [
  directory,
  root,
  layout,
  segment,
  removal,
  whereabouts,
]
