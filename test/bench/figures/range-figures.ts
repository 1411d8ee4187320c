import { randomFillSync } from 'node:crypto'
import { mkdir, open, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { BlobReader, ChunkRef } from '../../../src/castore/blob-store.ts'
import type { FileNode } from '../../../src/castore/model/node.ts'
import { chunksCovering } from '../../../src/castore/stores/chunk-windows.ts'
import { recordCastore } from '../../../src/castore/stores/record-castore.ts'
import { SegmentRecordStore } from '../../../src/castore/stores/segment-record-store.ts'
import { connectNode } from '../../../src/daemon/client.ts'
import { unhurriedCall } from '../../../src/foundation/call.ts'
import { silentLog } from '../../../src/foundation/log.ts'
import { systemClock } from '../../../src/foundation/system-clock.ts'
import { RemoteBlobStore } from '../../../src/rpc/remote/remote-blob-store.ts'
import { RemoteChannel } from '../../../src/rpc/remote/remote-channel.ts'
import type { DaemonProcess } from '../../fixtures/daemon-process.ts'
import { makeBigFile } from '../bench-data.ts'
import type { Figure } from '../figure.ts'
import { median, RUNS, secondsOf } from '../measure.ts'
import { type BenchKey, importInto, startFetcher, startSource } from '../nodes.ts'
import { peakFigure } from './import-figures.ts'

/** Length of the blob that is read from: `CAIRN_BENCH_RANGE_BYTES`, by default 4 GiB. */
const BYTES = Number(process.env.CAIRN_BENCH_RANGE_BYTES ?? 4 * 1024 ** 3)
const READ_BYTES = 4096
const PIECE_BYTES = 8 * 1024 * 1024

/** How many reads one run has, and how many are under way at once. */
const READS = 2000
const ELSEWHERE_READS = 1000
const AT_ONCE = 16

const call = unhurriedCall()

/** Random reads of a large blob: in the store, by HTTP, and of one that only a neighbour has. */
export async function rangeFigures(scratch: string, key: BenchKey): Promise<Figure[]> {
  const directory = join(scratch, 'ranges')
  await mkdir(directory)
  const file = join(directory, 'blob')
  await makeBigFile(file, BYTES)
  const bare = await readsPerSecond(READS, await fileReader(file))
  const source = await startSource(key)
  await using _source = source
  const storePath = await importInto(source, file, 'blob')
  await rm(file)
  const held = await readsPerSecond(READS, await narReader(source, storePath))
  const elsewhere = await elsewhereFigures(key, source, storePath)
  const stored = await storedReads(directory)
  await rm(directory, { recursive: true })
  const what = `random reads of 4 KiB a second of a blob of ${(BYTES / 1024 ** 3).toFixed(1)} GiB`
  const figure = (where: string, value: number, aim = ''): Figure => ({
    ...{ what: `${what}, ${where}`, value: value.toFixed(0), aim },
    ...{ baseline: `of a file ${bare.toFixed(0)}`, ratio: `${(value / bare).toFixed(2)} ×` },
  })
  return [figure('in the store', stored), figure('by HTTP from a node', held), ...elsewhere]
}

/** Reads so many bytes from there on. */
type Read = (offset: number) => Promise<number>

async function fileReader(path: string): Promise<Read> {
  return async (offset) => {
    await using file = await open(path)
    return (await file.read(Buffer.alloc(READ_BYTES), 0, READ_BYTES, offset)).bytesRead
  }
}

/** A blob in a store of this process's own, on disk. */
async function storedReads(directory: string): Promise<number> {
  const at = join(directory, 'store')
  const records = await SegmentRecordStore.open({ directory: at, log: silentLog })
  const { blobs } = recordCastore({ records })
  const piece = randomFillSync(Buffer.alloc(PIECE_BYTES))
  await using writer = blobs.create()
  for (let written = 0; written < BYTES; written += PIECE_BYTES) {
    // No two chunks are the same.
    for (let mark = 0; mark < PIECE_BYTES; mark += 64 * 1024) {
      piece.writeDoubleLE(written + mark, mark)
    }
    await writer.write(piece, call)
  }
  const reader = (await blobs.open(await writer.commit(call), call))!
  const result = await readsPerSecond(READS, (offset) => lengthRead(reader, offset))
  await records.close()
  return result
}

async function lengthRead(reader: BlobReader, offset: number): Promise<number> {
  let length = 0
  for await (const bytes of reader.read(offset, call, READ_BYTES)) length += bytes.length
  return length
}

/** Reads the one file of a path by ranges of its NAR. */
async function narReader(node: DaemonProcess, storePath: string): Promise<Read> {
  const hash = basename(storePath).slice(0, 32)
  const narInfo = await (await fetch(`${node.gatewayUrl}/${hash}.narinfo`)).text()
  const url = `${node.gatewayUrl}/${/^URL: (.+)$/m.exec(narInfo)?.[1]}`
  const listing = JSON.parse(await (await fetch(`${node.gatewayUrl}/${hash}.ls`)).text())
  const { narOffset } = listing.root
  return async (offset) => {
    const from = narOffset + offset
    const headers = { range: `bytes=${from}-${from + READ_BYTES - 1}` }
    const answer = await fetch(url, { headers })
    if (answer.status !== 206) throw new Error(`status ${answer.status} for a range`)
    return (await answer.arrayBuffer()).byteLength
  }
}

/** Reads by a node that holds nothing of the path, beside what they make it fetch. */
async function elsewhereFigures(
  key: BenchKey,
  source: DaemonProcess,
  storePath: string,
): Promise<Figure[]> {
  const layout = await layoutOf(source, storePath)
  const rates: number[] = []
  const ratios: number[] = []
  const peaks: number[] = []
  for (let run = 0; run < RUNS; run++) {
    await using node = await startFetcher(key, source)
    using client = connectNode(node.rpc)
    const fetched = async () => (await client.status(call)).bytesFetched
    const before = await fetched()
    const read = await narReader(node, storePath)
    rates.push(await readsPerSecond(ELSEWHERE_READS, read, run))
    ratios.push(((await fetched()) - before) / chunkBytes(layout, offsets(ELSEWHERE_READS, run)))
    peaks.push(node.residentPeakBytes())
  }
  const ratio = `${median(ratios).toFixed(2)} × the bytes of the chunks asked for`
  return [
    {
      what: 'the same by HTTP, of a blob that only a neighbour has',
      value: median(rates).toFixed(0),
      ...{ baseline: '', ratio, aim: '≤ 3 ×' },
    },
    peakFigure('of the node that reads elsewhere', median(peaks)),
  ]
}

async function layoutOf(source: DaemonProcess, storePath: string): Promise<readonly ChunkRef[]> {
  using client = connectNode(source.rpc)
  const { digest } = (await client.describe(storePath, call))!.node as FileNode
  using channel = new RemoteChannel({ clock: systemClock }, { address: source.rpc })
  const [layout] = await new RemoteBlobStore({ channel }).layouts([digest], call)
  return layout!
}

/** The bytes of all chunks that any of these reads falls into, each counted once. */
function chunkBytes(layout: readonly ChunkRef[], reads: readonly number[]): number {
  const asked = new Set(
    reads.flatMap((from) => chunksCovering(layout, { from, to: from + READ_BYTES }).chunks),
  )
  return [...asked].reduce((sum, { size }) => sum + size, 0)
}

/** Where to read, the same for the same run. */
function offsets(reads: number, run: number): number[] {
  let state = run + 1
  return Array.from({ length: reads }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * (BYTES - READ_BYTES))
  })
}

async function readsPerSecond(reads: number, read: Read, run = 0): Promise<number> {
  const left = offsets(reads, run)
  const seconds = await secondsOf(() =>
    Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (let offset = left.pop(); offset !== undefined; offset = left.pop()) {
          if ((await read(offset)) !== READ_BYTES) throw new Error('a read came short')
        }
      }),
    ),
  )
  return reads / seconds
}
