import { mkdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { makeBigFile } from '../bench-data.ts'
import type { Figure } from '../figure.ts'
import { factor, median, medianSeconds, program, RUNS, rate, secondsOf } from '../measure.ts'
import { startNginx } from '../nginx.ts'
import { type BenchKey, startSource } from '../nodes.ts'
import { peakFigure } from './import-figures.ts'

const BYTES = 1024 * 1024 * 1024

/** Nix's own times vary by a tenth and more, and it is the ratio that counts. */
const NIX_RUNS = 2 * RUNS + 1

const NIX = {
  NIX_CONFIG: 'experimental-features = nix-command\nsubstituters =\nbuild-users-group =',
}

/** One path of 1 GiB by the gateway, beside nginx serving the same bytes; and narinfo hits. */
export async function gatewayFigures(scratch: string, key: BenchKey): Promise<Figure[]> {
  const directory = join(scratch, 'gateway')
  await mkdir(join(directory, 'big'), { recursive: true })
  await makeBigFile(join(directory, 'big', 'blob'), BYTES)
  const added = await program('nix-store', ['--add', join(directory, 'big')], NIX)
  const storePath = added.trim()
  const cache = join(directory, 'cache')
  await program('nix', ['copy', '--to', `file://${cache}?compression=none`, storePath], NIX)
  await using nginx = await startNginx(cache, scratch)
  await using node = await startSource(key)
  // By default Nix compresses with xz, which takes it minutes for random bytes.
  await program('nix', ['copy', '--to', `${node.gatewayUrl}?compression=none`, storePath], NIX)
  await program('nix-store', ['--delete', storePath], NIX)

  const hash = basename(storePath).slice(0, 32)
  const copies = await nixSeconds(join(directory, 'root'), storePath, [nginx.url, node.gatewayUrl])
  const downloads = [await curlSeconds(nginx.url, hash), await curlSeconds(node.gatewayUrl, hash)]
  const hits = [await hitsPerSecond(nginx.url, hash), await hitsPerSecond(node.gatewayUrl, hash)]
  const peak = node.residentPeakBytes()
  await rm(directory, { recursive: true })
  return [
    compared('nix copy of 1 GiB from the gateway', copies[0]!, copies[1]!, '≥ 0.95 × nginx'),
    compared('curl of the same', downloads[0]!, downloads[1]!, '≥ 0.3 × nginx'),
    {
      what: 'narinfo hits a second, 25 connections',
      value: hits[1]!.toFixed(0),
      baseline: `nginx ${hits[0]!.toFixed(0)}`,
      ratio: `${(hits[1]! / hits[0]!).toFixed(2)} ×`,
      aim: '≥ 3,000',
    },
    peakFigure('of the node with the gateway', peak),
  ]
}

function compared(what: string, nginxSeconds: number, seconds: number, aim: string): Figure {
  return {
    what,
    value: rate(BYTES, seconds),
    baseline: `nginx ${rate(BYTES, nginxSeconds)}`,
    ratio: factor(nginxSeconds, seconds),
    aim,
  }
}

/** Nix copying a path from each cache into a new store, in turn, so that all see the same disk. */
async function nixSeconds(root: string, storePath: string, urls: string[]): Promise<number[]> {
  const env = { ...NIX, XDG_CACHE_HOME: join(root, '..', 'xdg') }
  const clean = `chmod -R u+w ${root} 2>/dev/null; rm -rf ${root} ${root}/../xdg; sync`
  const times: number[][] = urls.map(() => [])
  for (let run = 0; run < NIX_RUNS; run++) {
    for (const [i, url] of urls.entries()) {
      await program('sh', ['-c', clean])
      const args = ['copy', '--no-check-sigs', '--from', url, '--to', root, storePath]
      times[i]!.push(await secondsOf(() => program('nix', args, env)))
    }
  }
  return times.map(median)
}

async function curlSeconds(url: string, hash: string): Promise<number> {
  const narInfo = await (await fetch(`${url}/${hash}.narinfo`)).text()
  const nar = /^URL: (.+)$/m.exec(narInfo)?.[1]
  if (nar === undefined) throw new Error(`no narinfo at ${url}`)
  return await medianSeconds(() =>
    program('curl', ['--fail', '--silent', '--output', '/dev/null', `${url}/${nar}`]),
  )
}

/** Requests a second that wrk, from another process, gets answered. */
async function hitsPerSecond(url: string, hash: string): Promise<number> {
  const args = ['-t1', '-c25', '-d5s', `${url}/${hash}.narinfo`]
  const text = await program('wrk', args)
  const hits = /Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]
  if (hits === undefined || /Non-2xx/.test(text)) throw new Error(text)
  return Number(hits)
}
