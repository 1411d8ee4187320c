import { randomFillSync } from 'node:crypto'
import { unhurriedCall } from '../../../src/foundation/call.ts'
import type { Digest } from '../../../src/foundation/digest.ts'
import { systemClock } from '../../../src/foundation/system-clock.ts'
import { RemoteBlobStore } from '../../../src/rpc/remote/remote-blob-store.ts'
import { RemoteChannel } from '../../../src/rpc/remote/remote-channel.ts'
import { bareGrpcSeconds } from '../bare-grpc.ts'
import type { Figure } from '../figure.ts'
import { factor, median, RUNS, rate, secondsOf } from '../measure.ts'
import { type BenchKey, startSource } from '../nodes.ts'
import { peakFigure } from './import-figures.ts'

const BYTES = 1024 ** 3
const PIECE_BYTES = 1024 * 1024

/** Closer together than any two ends of a chunk. */
const MARK_EVERY_BYTES = 64 * 1024

const call = unhurriedCall()

/** A blob of 1 GiB put and read by gRPC, beside grpc-js moving the same messages by itself. */
export async function rpcFigures(_scratch: string, key: BenchKey): Promise<Figure[]> {
  const bare: { put: number; read: number }[] = []
  const own: { put: number; read: number; peak: number }[] = []
  for (let run = 0; run < RUNS; run++) {
    bare.push(await bareGrpcSeconds(BYTES))
    own.push(await putAndRead(key))
  }
  const figure = (method: 'put' | 'read', aim: string): Figure => {
    const seconds = median(own.map((it) => it[method]))
    const baseline = median(bare.map((it) => it[method]))
    return {
      what: `gRPC ${method === 'put' ? 'Put' : 'Read'} of one blob of 1 GiB`,
      value: rate(BYTES, seconds),
      baseline: `bare grpc-js ${rate(BYTES, baseline)}`,
      ratio: factor(baseline, seconds),
      aim,
    }
  }
  return [
    figure('put', '≥ 100 MB/s'),
    figure('read', '≥ 200 MB/s'),
    peakFigure('of the node behind gRPC', median(own.map(({ peak }) => peak))),
  ]
}

async function putAndRead(key: BenchKey): Promise<{ put: number; read: number; peak: number }> {
  await using node = await startSource(key)
  using channel = new RemoteChannel({ clock: systemClock }, { address: node.rpc })
  const blobs = new RemoteBlobStore({ channel })
  let digest: Digest | undefined
  const put = await secondsOf(async () => {
    digest = await putBlob(blobs)
  })
  const reader = await blobs.open(digest!, call)
  const read = await secondsOf(async () => {
    for await (const _ of reader!.read(0, call));
  })
  return { put, read, peak: node.residentPeakBytes() }
}

/** Puts bytes of which no two chunks are the same. */
async function putBlob(blobs: RemoteBlobStore): Promise<Digest> {
  const piece = randomFillSync(Buffer.alloc(PIECE_BYTES))
  await using writer = blobs.create()
  for (let at = 0; at < BYTES; at += PIECE_BYTES) {
    for (let mark = 0; mark < PIECE_BYTES; mark += MARK_EVERY_BYTES) {
      piece.writeDoubleLE(at + mark, mark)
    }
    await writer.write(piece, call)
  }
  return await writer.commit(call)
}
