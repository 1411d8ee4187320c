import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { connectNode } from '../../../src/daemon/client.ts'
import { unhurriedCall } from '../../../src/foundation/call.ts'
import { type DaemonProcess, startDaemon } from '../../fixtures/daemon-process.ts'
import { buildNixClosure, nix } from '../../fixtures/nix-closure.ts'
import type { Figure } from '../figure.ts'
import { factor, median, RUNS, secondsOf } from '../measure.ts'

const PATHS = 2_000
const SIZE = { paths: PATHS, bigFileBytes: 4 * 1024 * 1024, smallFiles: 500, partBytes: 16 * 1024 }

const call = unhurriedCall()

/** A node pushing a closure of many paths to a directory, beside Nix copying it there. */
export async function pushFigures(scratch: string): Promise<Figure[]> {
  const directory = join(scratch, 'push')
  await mkdir(directory)
  await using closure = await buildNixClosure(directory, SIZE)
  const { publicKey } = await closure.sign('push-1')
  await using node = await startDaemon({ args: ['--no-mdns', '--trusted-key', publicKey] })
  await nix('nix', ['copy', '--to', `${node.gatewayUrl}?compression=none`, closure.top])
  const cache = join(directory, 'cache')
  const times: number[] = []
  const nixTimes: number[] = []
  for (let run = 0; run < RUNS; run++) {
    times.push(await secondsOf(() => pushed(node, `file://${cache}`, closure.top)))
    await rm(cache, { recursive: true })
    const to = `file://${cache}?compression=zstd`
    nixTimes.push(await secondsOf(() => nix('nix', ['copy', '--to', to, closure.top])))
    await rm(cache, { recursive: true })
  }
  const [seconds, nixSeconds] = [median(times), median(nixTimes)]
  return [
    {
      what: `push of ${closure.paths.length} paths to a directory, zstd`,
      value: `${seconds.toFixed(1)} s, ${(closure.paths.length / seconds).toFixed(0)} paths/s`,
      baseline: `nix copy ${nixSeconds.toFixed(1)} s`,
      ratio: factor(nixSeconds, seconds),
      aim: '',
    },
  ]
}

/** @throws where a path was not pushed */
async function pushed(node: DaemonProcess, to: string, storePath: string): Promise<void> {
  using client = connectNode(node.rpc)
  const options = { to, compression: 'zstd' }
  for await (const { outcome } of client.push([storePath], options, call)) {
    if (outcome?.error !== undefined) throw new Error(outcome.error)
  }
}
