import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connectNode } from '../../src/daemon/client.ts'
import { systemClock } from '../../src/foundation/system-clock.ts'
import { COMPRESSIONS } from '../../src/nar/compression.ts'
import { parseNarInfo } from '../../src/nix/nar-info.ts'
import { parseRemoteUrl } from '../../src/rpc/remote/remote-url.ts'
import { Netrc } from '../../src/upstream/netrc.ts'
import { openCacheFiles } from '../../src/upstream/open-cache-files.ts'
import { parseUpstreamUrl } from '../../src/upstream/upstream-url.ts'
import { until } from '../fixtures/await-peers.ts'
import { call } from '../fixtures/content.ts'
import { type DaemonProcess, startDaemon } from '../fixtures/daemon-process.ts'
import { NGINX_MISSING, startNginxCache } from '../fixtures/nginx-cache.ts'
import {
  buildNixClosure,
  type ClosureKey,
  compareTrees,
  type NixClosure,
  nix,
  nixMissing,
  verifyInStore,
} from '../fixtures/nix-closure.ts'
import { BUCKET, S3_ENV, startS3Server } from '../fixtures/s3-server.ts'
import { dealt, nixCache, putShare, shareOf } from '../fixtures/shared-out-caches.ts'
import { SSHD_MISSING, startSshd } from '../fixtures/sshd.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { narInfoUrl } from './machines.ts'

const skipped = nixMissing() ?? NGINX_MISSING ?? SSHD_MISSING
const why = skipped === undefined ? '' : ` (${skipped})`

/** A cache that has some of the closure's paths, and nobody else has them. */
interface Cache {
  readonly url: string
  readonly paths: readonly string[]
}

const stack = new AsyncDisposableStack()
let directory: string
let closure: NixClosure
let key: ClosureKey
let caches: Cache[]
let env: NodeJS.ProcessEnv

beforeAll(async () => {
  if (skipped !== undefined) return
  directory = stack.use(await temporaryDirectory()).path
  const size = { paths: 2 * COMPRESSIONS.length + 5, bigFileBytes: 200_000, smallFiles: 30 }
  closure = stack.use(await buildNixClosure(directory, size))
  key = await closure.sign('kinds-1')
  // What refers to nothing can be put into a node alone.
  const [byStore, others] = [
    [closure.bigPath],
    closure.paths.filter((it) => it !== closure.bigPath),
  ]
  const [byS3, bySftp, ...rest] = dealt(others, 2 + 2 * COMPRESSIONS.length)
  const shares = rest.values()
  const nginx = stack.use(await startNginxCache(directory, directory))
  caches = []
  for (const compression of COMPRESSIONS) {
    const whole = await nixCache(join(directory, compression), closure.top, compression)
    const [byFile, byHttp] = [shares.next().value!, shares.next().value!]
    const http = `http-${compression}`
    await shareOf(whole, join(directory, http), byHttp)
    const file = await shareOf(whole, join(directory, `file-${compression}`), byFile)
    caches.push({ url: `file://${file}`, paths: byFile })
    caches.push({ url: `http://127.0.0.1:${nginx.port}/cache/${http}`, paths: byHttp })
  }
  caches.push(await s3Cache(join(directory, 'zstd'), byS3!))
  caches.push(await sftpCache(join(directory, 'xz'), bySftp!))
  caches.push(await storeCache(byStore))
}, 120_000)
afterAll(() => stack.disposeAsync(), 60_000)

async function s3Cache(from: string, paths: readonly string[]): Promise<Cache> {
  const server = stack.use(await startS3Server(directory))
  const at = `?endpoint=127.0.0.1:${server.port}&scheme=http`
  const url = `s3://${BUCKET}/nix${at}`
  env = { ...S3_ENV }
  Object.assign(process.env, env)
  const files = openCacheFiles({ clock: systemClock, netrc: Netrc.none() }, parseUpstreamUrl(url), {
    env,
  })
  await putShare(from, files, paths)
  await files.close()
  return { url, paths }
}

async function sftpCache(from: string, paths: readonly string[]): Promise<Cache> {
  const sshd = stack.use(await startSshd(directory))
  const home = join(dirname(sshd.keyFile), 'home')
  await mkdir(join(home, '.ssh'), { recursive: true })
  await writeFile(join(home, '.ssh', 'known_hosts'), `[127.0.0.1]:${sshd.port} ${sshd.hostKey}\n`)
  env = { ...env, HOME: home }
  const share = await shareOf(from, join(directory, 'sftp'), paths)
  const url = `sftp://root@127.0.0.1:${sshd.port}${share}?ssh-key=${sshd.keyFile}`
  return { url, paths }
}

/** Another node, reached by gRPC. */
async function storeCache(paths: readonly string[]): Promise<Cache> {
  const far = stack.use(await startDaemon({ args: ['--no-mdns'] }))
  await nix('nix', ['copy', '--to', `${far.gatewayUrl}?compression=none`, ...paths])
  return { url: `grpc+http://${far.rpc}`, paths }
}

test.skipIf(skipped)(
  `Nix gets a closure through one node from caches of every kind${why}`,
  { timeout: 60_000 },
  async () => {
    const upstreams = caches.flatMap(({ url }) => ['--upstream', url])
    const args = ['--no-mdns', ...upstreams, '--trusted-key', key.publicKey]
    await using node = await startDaemon({ args, env })
    await ready(node)
    const store = join(directory, 'store')
    const trust = ['--option', 'trusted-public-keys', key.publicKey]
    await nix('nix', ['copy', ...trust, '--from', node.gatewayUrl, '--to', store, closure.top])
    await verifyInStore(store, ...closure.paths)
    for (const path of closure.paths) expect(compareTrees(path, join(store, path))).toEqual([])
    using client = connectNode(node.rpc)
    expect((await client.status(call)).storePaths).toBe(closure.paths.length)
    const sources = await client.sources(call)
    for (const { url, paths } of caches) {
      const source = sources.find(({ name }) => name === nameOf(url))
      expect(source, url).toMatchObject({ state: 'ready' })
      expect(source!.hits, url).toBeGreaterThanOrEqual(paths.length)
    }
  },
)

/** Waits until a node has heard of every path: caches on a busy machine may need a second try. */
async function ready(node: DaemonProcess): Promise<void> {
  for (const path of closure.paths) {
    await until(async () => {
      const answer = await fetch(narInfoUrl(node.gatewayUrl, path))
      const text = await answer.text()
      if (answer.status !== 200) return false
      expect(parseNarInfo(text).storePath.toString()).toBe(path)
      return true
    })
  }
}

/** What a node calls an upstream. */
function nameOf(url: string): string {
  return url.startsWith('grpc+') ? parseRemoteUrl(url).name : parseUpstreamUrl(url).name
}
