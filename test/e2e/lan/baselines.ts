import { type ChildProcess, execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { cp, mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Content } from './content.ts'
import { type LabLan, makeLabLan } from './lan.ts'
import { copies, type Report, timed } from './report.ts'
import { serveDirectory } from './serve-directory.ts'
import { type LabOptions, scratchDirectory } from './world.ts'

const run = promisify(execFile)

/** Debian's own, which python3-libtorrent belongs to; another one may stand first on the PATH. */
const PYTHON = '/usr/bin/python3'

const BITTORRENT = fileURLToPath(new URL('bittorrent.py', import.meta.url))

/** A file that all machines but the first are to get from it. */
interface Cargo {
  readonly file: string
  readonly sha256: string
  readonly content: Content
}

/** One way in which others bring a file to everybody. */
export interface Baseline {
  readonly name: string
  /** Why it can not be run here; undefined where it can. */
  missing(): Promise<string | undefined>
  race(lan: LabLan, cargo: Cargo, scratch: string): Promise<{ seconds: number; wrong: string[] }>
}

/** Measures a baseline on a LAN like the lab's, with the content as one file: a tree as its tar. */
export async function measureBaseline(
  baseline: Baseline,
  options: LabOptions,
  make: (path: string, bytes: number) => Promise<Content>,
): Promise<Report> {
  const missing = await baseline.missing()
  if (missing !== undefined) return { line: `not measured: ${missing}`, wrong: [] }
  await using directory = await scratchDirectory()
  const content = await make(join(directory.path, 'content'), options.mib * 2 ** 20)
  const file = join(directory.path, 'serve', 'cargo')
  await mkdir(dirname(file))
  if (content.isTree) await run('tar', ['-C', content.path, '-cf', file, '.'])
  else await cp(content.path, file)
  const cargo = { file, sha256: await sha256Of(file), content }
  await using lan = await makeLabLan(options.nodes, options.megabits)
  await lan.shape()
  const before = await lan.traffic()
  const { seconds, wrong } = await baseline.race(lan, cargo, directory.path)
  const sent = (await lan.traffic())[0]!.sentBytes - before[0]!.sentBytes
  const line = `${timed(seconds, content, options)}, seed gave ${copies(sent, content)}`
  return { line: wrong.length === 0 ? line : `${line}, ${wrong.length} wrong`, wrong }
}

/** One source, and everybody asks it: what a binary cache on the LAN is. */
export const nginx: Baseline = {
  name: 'nginx',
  missing: async () => await failure('nginx', ['-v'], 'nginx (Debian: nginx-light)'),
  race: async (lan, { file, sha256 }, scratch) => {
    const url = await serveDirectory(lan, 0, { root: dirname(file), scratch }, 'cargo')
    const wrong: string[] = []
    const get = ['bash', '-c', `curl --silent --fail ${url} | sha256sum`]
    const start = performance.now()
    const gets = [...lan.nodes.keys()].slice(1).map(async (machine) => {
      const { stdout } = await lan.exec(machine, get)
      if (!stdout.startsWith(sha256)) wrong.push(`machine ${machine} has other bytes of nginx`)
    })
    await Promise.all(gets)
    return { seconds: (performance.now() - start) / 1000, wrong }
  },
}

/** BitTorrent by libtorrent, all peers introduced to each other; it checks the bytes itself. */
export const bitTorrent: Baseline = {
  name: 'bittorrent',
  missing: async () =>
    await failure(PYTHON, ['-c', 'import libtorrent'], 'libtorrent (Debian: python3-libtorrent)'),
  race: async (lan, { file }, scratch) => {
    const torrent = join(scratch, 'cargo.torrent')
    await run(PYTHON, [BITTORRENT, 'make', file, torrent])
    const starts = lan.nodes.map(async ({ address }, machine) => {
      const directory = machine === 0 ? dirname(file) : join(scratch, `peer-${machine}`)
      await mkdir(directory, { recursive: true })
      const argv = [PYTHON, BITTORRENT, 'run', torrent, directory, address]
      return await speaking(lan.spawn(machine, argv, { stdio: ['pipe', 'pipe', 'inherit'] }))
    })
    const peers = await Promise.all(starts)
    const start = performance.now()
    for (const [machine, { child }] of peers.entries()) {
      // Each pair is connected once, by the later one.
      const earlier = lan.nodes.slice(0, machine).map(({ address }) => address)
      child.stdin!.write(`${earlier.join(' ')}\n`)
    }
    await Promise.all(peers.map(({ done }) => done))
    const seconds = (performance.now() - start) / 1000
    for (const { child } of peers) child.stdin!.end()
    return { seconds, wrong: [] }
  },
}

interface Peer {
  readonly child: ChildProcess
  /** Resolves once it has everything. */
  readonly done: Promise<void>
}

/** Resolves once the peer is ready. */
async function speaking(child: ChildProcess): Promise<Peer> {
  const ready = Promise.withResolvers<void>()
  const done = Promise.withResolvers<void>()
  done.promise.catch(() => undefined) // where it is not waited for any more
  child.once('close', (code, signal) => {
    const ended = new Error(`a BitTorrent peer has ended: ${signal ?? `exit code ${code}`}`)
    ready.reject(ended)
    done.reject(ended)
  })
  createInterface({ input: child.stdout! }).on('line', (line) => {
    if (line === 'ready') ready.resolve()
    if (line === 'done') done.resolve()
  })
  await ready.promise
  return { child, done: done.promise }
}

async function failure(
  program: string,
  args: readonly string[],
  what: string,
): Promise<string | undefined> {
  return await run(program, [...args]).then(
    () => undefined,
    () => `${what} is not installed`,
  )
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  return hash.digest('hex')
}
