import { createReadStream } from 'node:fs'
import { copyFile, mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ChunkPacker } from '../../../src/castore/stores/chunk-packer.ts'
import { recordCastore } from '../../../src/castore/stores/record-castore.ts'
import { SegmentRecordStore } from '../../../src/castore/stores/segment-record-store.ts'
import { systemDisk } from '../../../src/castore/stores/system-disk.ts'
import { YoungCollector } from '../../../src/daemon/young-collector.ts'
import { unhurriedCall } from '../../../src/foundation/call.ts'
import { silentLog } from '../../../src/foundation/log.ts'
import { COMPRESSIONS, type Compression } from '../../../src/nar/compression.ts'
import { decompressed } from '../../../src/nar/decompression.ts'
import { ingestNar } from '../../../src/nar/ingest-nar.ts'
import { makeSmallFiles } from '../bench-data.ts'
import type { Figure } from '../figure.ts'
import { factor, median, program, RUNS, rate, secondsOf } from '../measure.ts'

/** How much machine code the NAR holds, in bytes: of Node's own executable. */
const CODE_BYTES = 64 * 1024 * 1024

const SMALL_FILES = 2_000

/** Its own default, 11, would take minutes. */
const BROTLI = 'zlib.createBrotliCompress({ params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 5 } })'

/** What makes a file of each kind as caches have them, and what undoes it. */
const TOOLS: Readonly<Record<Compression, readonly [pack: string, unpack: string]>> = {
  none: ['cat', 'cat'],
  xz: ['xz -T2', 'xz -dc'],
  zstd: ['zstd -q', 'zstd -qdc'],
  gzip: ['gzip', 'gzip -dc'],
  bzip2: ['bzip2', 'bzip2 -dc'],
  br: [node(BROTLI), node('zlib.createBrotliDecompress()')],
}

/** As a body comes from a cache. */
const READS = { highWaterMark: 64 * 1024 }

const call = unhurriedCall()

/** Taking in a NAR as an upstream gives it, in each compression, beside unpacking it alone. */
export async function ingestFigures(scratch: string): Promise<Figure[]> {
  const directory = join(scratch, 'ingest')
  const nar = await makeNar(directory)
  const collector = new YoungCollector()
  await collector.start()
  try {
    const figures: Figure[] = []
    for (const compression of COMPRESSIONS) {
      figures.push(await figureOf(compression, nar, directory))
    }
    return figures
  } finally {
    await collector.stop()
    await rm(directory, { recursive: true })
  }
}

interface Nar {
  readonly file: string
  readonly bytes: number
}

/** A NAR of machine code and of small files. */
async function makeNar(directory: string): Promise<Nar> {
  const tree = join(directory, 'tree')
  await mkdir(join(tree, 'bin'), { recursive: true })
  await copyFile(process.execPath, join(tree, 'bin', 'node'))
  await using code = await open(join(tree, 'bin', 'node'), 'r+')
  await code.truncate(Math.min(CODE_BYTES, (await code.stat()).size))
  await makeSmallFiles(join(tree, 'share'), SMALL_FILES)
  const file = join(directory, 'nar')
  await program('sh', ['-c', `nix-store --dump ${tree} > ${file}`])
  return { file, bytes: Number(await program('stat', ['-c', '%s', file])) }
}

async function figureOf(compression: Compression, nar: Nar, directory: string): Promise<Figure> {
  const [pack, unpack] = TOOLS[compression]
  const file = join(directory, `nar.${compression}`)
  await program('sh', ['-c', `${pack} < ${nar.file} > ${file}`])
  const times: number[] = []
  const toolTimes: number[] = []
  for (let run = 0; run < RUNS; run++) {
    const state = join(directory, 'state')
    times.push(await secondsOf(() => taken(file, compression, state)))
    await rm(state, { recursive: true })
    const alone = ['-c', `${unpack} < ${file} > /dev/null`]
    toolTimes.push(await secondsOf(() => program('sh', alone)))
  }
  await rm(file)
  const tool = compression === 'br' ? 'node' : unpack.split(' ')[0]
  const [seconds, toolSeconds] = [median(times), median(toolTimes)]
  return {
    what: `taking in a NAR of ${(nar.bytes / 1e6).toFixed(0)} MB, ${compression}`,
    value: rate(nar.bytes, seconds),
    baseline: `${tool} alone ${rate(nar.bytes, toolSeconds)}`,
    ratio: factor(toolSeconds, seconds),
    aim: '',
  }
}

/** Unpacks a file into a new store, to the last sync. */
async function taken(file: string, compression: Compression, directory: string): Promise<void> {
  const records = await SegmentRecordStore.open({ directory, log: silentLog, disk: systemDisk })
  const castore = recordCastore({ records, packer: new ChunkPacker({}, {}) })
  const source = createReadStream(file, READS)
  await ingestNar(decompressed(source, compression), castore, call)
  await records.close() // which syncs
}

function node(stream: string): string {
  return `${process.execPath} -e "process.stdin.pipe(${stream}).pipe(process.stdout)"`
}
