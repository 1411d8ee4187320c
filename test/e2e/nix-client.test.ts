import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { until } from '../fixtures/await-peers.ts'
import { compareTrees } from '../fixtures/compare-trees.ts'
import { type DaemonProcess, freePorts, startDaemon } from '../fixtures/daemon-process.ts'
import {
  buildNixClosure,
  NIX_ENV,
  type NixClosure,
  nix,
  nixMissing,
  verifyInStore,
} from '../fixtures/nix-closure.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { narInfoUrl } from './machines.ts'

const MIB = 1024 * 1024
const BIG_FILE_BYTES = 24 * MIB

const skipped = nixMissing()
const why = skipped === undefined ? '' : ` (${skipped})`

const run = promisify(execFile)
const stack = new AsyncDisposableStack()
let directory: string
let closure: NixClosure
let node: DaemonProcess

beforeAll(async () => {
  directory = stack.use(await temporaryDirectory()).path
  if (skipped !== undefined) return
  const size = { paths: 10, bigFileBytes: BIG_FILE_BYTES, smallFiles: 100 }
  closure = stack.use(await buildNixClosure(directory, size))
  node = stack.use(await startDaemon({ args: ['--no-mdns'] }))
  await asClient('setup', 'copy', '--to', node.gatewayUrl, closure.top)
})
afterAll(() => stack.disposeAsync())

/** Runs `nix` as a client that remembers of caches what it learnt under that name. */
async function asClient(name: string, ...args: readonly string[]): Promise<string> {
  const env = { ...NIX_ENV, XDG_CACHE_HOME: join(directory, `cache-${name}`) }
  const { stdout } = await run('nix', [...args], { env, maxBuffer: 64 * MIB })
  return stdout
}

describe.skipIf(skipped)(`nix asks a cache${why}`, () => {
  test('whether it is there', async () => {
    await asClient('ping', 'store', 'ping', '--store', node.gatewayUrl)
  })

  test('what it knows of paths', async () => {
    const args = ['path-info', '--json', '--recursive', '--store', node.gatewayUrl, closure.top]
    const known = JSON.parse(await asClient('path-info', ...args)) as { path: string }[]
    expect(known.map(({ path }) => path).toSorted()).toEqual(closure.paths.toSorted())
    const own = JSON.parse(await asClient('own', 'path-info', '--json', closure.top))
    expect(known.find(({ path }) => path === closure.top)).toMatchObject({
      narHash: own[0].narHash,
      narSize: own[0].narSize,
      references: own[0].references,
    })
  })

  test('what is in a path', async () => {
    const ls = (store: string[]) =>
      asClient('ls', 'store', 'ls', '--json', '--recursive', ...store, closure.manyPath)
    const listed = JSON.parse(await ls(['--store', node.gatewayUrl]))
    expect(Object.keys(listed.entries.many.entries)).toHaveLength(100)
    const file = join(closure.manyPath, 'many/file-7')
    const cat = await asClient('cat', 'store', 'cat', '--store', node.gatewayUrl, file)
    expect(cat).toBe(await readFile(file, 'utf8'))
  })

  test('whether its content is what it says', async () => {
    const args = ['store', 'verify', '--no-trust', '--recursive', '--store', node.gatewayUrl]
    await asClient('verify', ...args, closure.top)
  })

  test('for a log that was put there', async () => {
    const marker = `built by ${basename(directory)}`
    const script = `{ }: derivation { name = "logged"; system = builtins.currentSystem;
      builder = "/bin/sh"; args = [ "-c" "echo '${marker}' >&2; echo > $out" ]; }`
    await writeFile(join(directory, 'logged.nix'), script)
    const derivation = (await nix('nix-instantiate', [join(directory, 'logged.nix')])).trim()
    const output = (await nix('nix-store', ['--realise', derivation])).trim()
    await asClient('log', 'store', 'copy-log', '--to', node.gatewayUrl, derivation)
    // A machine that has the derivation and no logs of its own.
    const env = { ...NIX_ENV, NIX_LOG_DIR: join(directory, 'no-logs') }
    const asking = (cache: string) =>
      run('nix', ['log', '--option', 'substituters', cache, derivation], { env })
    await expect(asking('')).rejects.toThrow('not available')
    expect((await asking(node.gatewayUrl)).stdout).toContain(marker)
    await nix('nix-store', ['--delete', output, derivation]).catch(() => undefined)
  })
})

test.skipIf(skipped)(`listings are what Nix itself writes${why}`, async () => {
  const cache = join(directory, 'file-cache')
  const to = `file://${cache}?compression=none&write-nar-listing=1`
  await asClient('listing', 'copy', '--to', to, closure.top)
  for (const path of closure.paths.filter((it) => it !== closure.oddPath)) {
    const name = `${basename(path).slice(0, 32)}.ls`
    const theirs = JSON.parse(await readFile(join(cache, name), 'utf8'))
    const ours = await (await fetch(`${node.gatewayUrl}/${name}`)).json()
    expect(ours).toEqual(theirs)
  }
})

test.skipIf(skipped)(`a download that breaks off is resumed where it was${why}`, async () => {
  await using proxy = await cuttingProxy(node.gatewayUrl, BIG_FILE_BYTES / 3)
  const root = join(directory, 'resumed')
  await asClient(
    'resume',
    'copy',
    '--no-check-sigs',
    '--from',
    proxy.url,
    '--to',
    root,
    closure.bigPath,
  )
  await verifyInStore(root, closure.bigPath)
  expect(proxy.cuts).toBe(1)
  expect(proxy.ranges).toHaveLength(1)
  expect(proxy.ranges[0]).toMatch(/^bytes=[1-9]\d*-$/)
})

describe.skipIf(skipped)(`2,000 small paths${why}`, () => {
  test('pushed while the node is stopped and killed are all there', {
    timeout: 120_000,
  }, async () => {
    const paths = await smallPaths(2_000)
    await using directories = new AsyncDisposableStack()
    directories.defer(() => nix('nix-store', ['--delete', ...paths]).then(() => undefined))
    const state = directories.use(await temporaryDirectory()).path
    const [port] = await freePorts(1)
    const init = { state, args: ['--no-mdns', '--gateway', `127.0.0.1:${port}`] }
    const to = `http://127.0.0.1:${port}?compression=none`
    const push = (...options: string[]): Promise<string> =>
      asClient('push', 'copy', ...options, '--to', to, ...paths)

    for (const end of ['stop', 'kill'] as const) {
      await using daemon = await startDaemon(init)
      const before = takenIn(daemon)
      const pushed = push('--option', 'download-attempts', '1').catch(() => 'broken off')
      await until(() => takenIn(daemon) > before + 300)
      await daemon[end]()
      expect(takenIn(daemon)).toBeLessThan(2_000)
      await pushed
    }
    await using daemon = await startDaemon(init)
    await push()
    for (const path of paths) {
      const { status } = await fetch(narInfoUrl(daemon.gatewayUrl, path), { method: 'HEAD' })
      expect({ path, status }).toEqual({ path, status: 200 })
    }
    const some = paths.filter((_, i) => i % 8 === 0)
    const root = join(directory, 'pulled')
    await asClient(
      'pull',
      'copy',
      '--no-check-sigs',
      '--from',
      daemon.gatewayUrl,
      '--to',
      root,
      ...some,
    )
    await verifyInStore(root, ...some)
    for (const path of some.slice(0, 20)) expect(compareTrees(path, join(root, path))).toEqual([])
  })
})

/** Files of a few bytes in this machine's store, none of them there before. */
async function smallPaths(count: number): Promise<string[]> {
  const from = join(directory, 'small')
  await mkdir(from)
  const names = Array.from({ length: count }, (_, i) => join(from, `small-${i}`))
  await Promise.all(names.map((name) => writeFile(name, `${name} of ${directory}`)))
  return (await nix('nix-store', ['--add', ...names])).trim().split('\n')
}

/** How many paths a node says that it took in. */
function takenIn(daemon: DaemonProcess): number {
  return daemon.log().split('"path taken in"').length - 1
}

interface CuttingProxy extends AsyncDisposable {
  readonly url: string
  /** How often a connection was cut. */
  readonly cuts: number
  /** The Range headers that came after. */
  readonly ranges: readonly string[]
}

/** Passes connections on, but cuts the first one on which more than so many bytes come back. */
async function cuttingProxy(target: string, bytesMax: number): Promise<CuttingProxy> {
  const { hostname, port } = new URL(target)
  let cuts = 0
  const ranges: string[] = []
  const server: Server = createServer((client) => {
    const gateway = connect(Number(port), hostname)
    let bytes = 0
    client.on('data', (part) => {
      const [, range] = /^range: *(.*)\r$/im.exec(part.toString('latin1')) ?? []
      if (range !== undefined) ranges.push(range)
    })
    gateway.on('data', (part) => {
      bytes += part.length
      if (cuts > 0 || bytes < bytesMax) return
      cuts++
      client.destroy()
      gateway.destroy()
    })
    client.pipe(gateway).pipe(client)
    for (const socket of [client, gateway]) socket.on('error', () => undefined)
    client.on('close', () => gateway.destroy())
    gateway.on('close', () => client.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port: own } = server.address() as { port: number }
  return {
    url: `http://127.0.0.1:${own}`,
    get cuts() {
      return cuts
    },
    ranges,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  }
}
