import { readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SegmentRecordStore } from '../../../src/castore/stores/segment-record-store.ts'
import { connectNode } from '../../../src/daemon/client.ts'
import { blake3 } from '../../../src/foundation/blake3.ts'
import { unhurriedCall } from '../../../src/foundation/call.ts'
import { silentLog } from '../../../src/foundation/log.ts'
import { startDaemon } from '../../fixtures/daemon-process.ts'
import { buildNixClosure, nixMissing } from '../../fixtures/nix-closure.ts'
import { makeBigFile, makeSmallFiles } from '../bench-data.ts'
import type { Figure } from '../figure.ts'
import { rate, secondsOf } from '../measure.ts'
import { type BenchKey, importInto, startSource } from '../nodes.ts'

/** How many chunks the large store has: `CAIRN_BENCH_CHUNKS`, by default a million. */
const CHUNKS = Number(process.env.CAIRN_BENCH_CHUNKS ?? 1_000_000)
const CHUNK_BYTES = 256
const BATCH = 10_000

/** How much content the store of large chunks has, whose index is made anew. */
const LARGE_BYTES = 2 * 1024 ** 3

const call = unhurriedCall()

/** Keeping a store in order: cleaning up, and starting on a large one, with its index and without. */
export async function upkeepFigures(scratch: string, key: BenchKey): Promise<Figure[]> {
  return [
    ...(await adoptFigures(scratch)),
    ...(await cleanUpFigures(scratch, key)),
    ...(await largeStoreFigures(scratch)),
    ...(await rebuildFigures(scratch)),
  ]
}

async function cleanUpFigures(scratch: string, key: BenchKey): Promise<Figure[]> {
  const trees = [join(scratch, 'one'), join(scratch, 'two')]
  for (const tree of trees) await makeSmallFiles(tree, 50_000)
  await using node = await startSource(key)
  // At the same time, so that all segments are half of the path that goes.
  await Promise.all(trees.map((tree, i) => importInto(node, tree, `tree-${i}`)))
  for (const tree of trees) await rm(tree, { recursive: true })
  using client = connectNode(node.rpc)
  const status = await client.status(call)
  const init = { isDryRun: false, isNow: true, maxBytes: Math.round(status.storedBytes * 0.6) }
  let freed = 0
  const seconds = await secondsOf(async () => {
    freed = (await client.cleanUp(init, call)).freedBytes
  })
  const check = await secondsOf(async () => {
    for await (const { fault } of client.verify({ isRepair: false }, call)) {
      if (fault !== undefined) throw new Error(fault.what)
    }
  })
  return [
    {
      what: 'gc of 50,000 of 100,000 blobs, and compaction',
      value: `${seconds.toFixed(1)} s`,
      baseline: '',
      ratio: `${(freed / 1e6).toFixed(0)} MB given back`,
      aim: '',
    },
    {
      what: 'verifying the other 50,000',
      value: `${check.toFixed(1)} s`,
      baseline: '',
      ratio: `${(50_000 / check).toFixed(0)} blobs/s`,
      aim: '',
    },
  ]
}

/** Adopting what is in this machine's own store, or a part of it. */
async function adoptFigures(scratch: string): Promise<Figure[]> {
  if (nixMissing() !== undefined) {
    console.error(`no figures of adopting: ${nixMissing()}`)
    return []
  }
  const size = { paths: 40, bigFileBytes: 512 * 1024 ** 2, smallFiles: 20_000 }
  await using closure = await buildNixClosure(scratch, size)
  await using node = await startDaemon({ args: ['--no-mdns'] })
  using client = connectNode(node.rpc)
  let bytes = 0
  const seconds = await secondsOf(async () => {
    for await (const report of client.adopt(closure.paths, { sign: false }, call)) {
      if (report.path?.error !== undefined) throw new Error(report.path.error)
      bytes = report.bytes
    }
  })
  const { storedBytes } = await client.status(call)
  return [
    {
      what: `adopting ${(bytes / 1e6).toFixed(0)} MB of /nix/store, 20,000 files`,
      value: `${seconds.toFixed(1)} s, ${rate(bytes, seconds)}`,
      baseline: '',
      ratio: `${(storedBytes / 1e6).toFixed(1)} MB of chunk records`,
      aim: '',
    },
  ]
}

async function largeStoreFigures(scratch: string): Promise<Figure[]> {
  const state = join(scratch, 'large-state')
  const directory = join(state, 'store')
  {
    await using store = await SegmentRecordStore.open({ directory, log: silentLog })
    const bytes = Buffer.alloc(CHUNK_BYTES * BATCH)
    for (let at = 0; at < CHUNKS; at += BATCH) {
      const records = Array.from({ length: BATCH }, (_, i) => {
        const chunk = bytes.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES)
        chunk.writeUInt32LE(at + i)
        return { key: blake3(chunk), bytes: chunk }
      })
      await store.put('chunk', records, call)
    }
  }
  const start = performance.now()
  await using node = await startDaemon({ args: ['--no-mdns'], state })
  const seconds = (performance.now() - start) / 1000
  using client = connectNode(node.rpc)
  await client.status(call)
  const started = residentBytes(node.pid)
  // Each record is looked up and read.
  for await (const _ of client.verify({ isRepair: false }, call));
  const used = residentBytes(node.pid)
  await node.kill()
  await rm(join(directory, 'index'), { recursive: true })
  const rebuilt = await secondsOf(async () => {
    await using store = await SegmentRecordStore.open({ directory, log: silentLog })
    if (store.totals('chunk').records !== CHUNKS) throw new Error('chunks were lost')
  })
  await rm(state, { recursive: true })
  const million = `${(CHUNKS / 1e6).toFixed(1)} million chunks`
  return [
    {
      what: `start-up on ${million}`,
      value: `${seconds.toFixed(2)} s`,
      baseline: '',
      ratio: '',
      aim: '≤ 3 s',
    },
    {
      what: `memory with ${million}, just started, and after reading all`,
      value: `${mb(started)}, ${mb(used)}`,
      baseline: '',
      ratio: '',
      aim: '≤ 400 MB',
    },
    {
      what: `index of ${million} made anew`,
      value: `${rebuilt.toFixed(1)} s`,
      baseline: '',
      ratio: `${(CHUNKS / rebuilt).toFixed(0)} records/s`,
      aim: '',
    },
  ]
}

async function rebuildFigures(scratch: string): Promise<Figure[]> {
  const file = join(scratch, 'large')
  await makeBigFile(file, LARGE_BYTES)
  await using node = await startDaemon({ args: ['--no-mdns'] })
  await importInto(node, file, 'large')
  await rm(file)
  await node.stop()
  const directory = join(node.state, 'store')
  await rm(join(directory, 'index'), { recursive: true })
  const seconds = await secondsOf(async () => {
    await using _store = await SegmentRecordStore.open({ directory, log: silentLog })
  })
  const tenGib = (seconds * 10 * 1024 ** 3) / LARGE_BYTES
  return [
    {
      what: 'index of 2 GiB of large chunks made anew',
      value: `${seconds.toFixed(1)} s, ${rate(LARGE_BYTES, seconds)}`,
      baseline: '',
      ratio: `10 GiB would take ${tenGib.toFixed(0)} s`,
      aim: '',
    },
  ]
}

function residentBytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(match?.[1] ?? 0) * 1024
}

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`
}
