import { get, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { SecretKey } from '../../src/nix/key.ts'
import { parseNarInfo } from '../../src/nix/nar-info.ts'
import { faultOf } from '../crash/crash-load.ts'
import { until } from '../fixtures/await-peers.ts'
import { cachedPath, writeCachedPaths } from '../fixtures/cached-path.ts'
import { noise } from '../fixtures/content.ts'
import { freePorts, startDaemon } from '../fixtures/daemon-process.ts'
import { nix, nixMissing, verifyInStore } from '../fixtures/nix-closure.ts'
import { slowCache } from '../fixtures/slow-cache.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { narInfoUrl } from './machines.ts'
import { pushed, RestartLoad } from './restart-load.ts'

const skipped = nixMissing()
const why = skipped === undefined ? '' : ` (${skipped})`

/** Answers under way are cut after five seconds, and the process ends after eight at the latest. */
const STOP_MS_MAX = 8_000

/** At a megabyte a second the download outlasts the time that a stopping node gives it. */
const LONG_BYTES = 16 * 1024 * 1024

/** How many paths Nix has to push. */
const PUSHES = 40

test.skipIf(skipped)(
  `a node restarted under load keeps what it acknowledged${why}`,
  {
    timeout: 90_000,
  },
  async () => {
    await using stack = new AsyncDisposableStack()
    const { path } = stack.use(await temporaryDirectory())
    const key = SecretKey.generate('restart-1')
    const long = cachedPath(key, 'long', noise(LONG_BYTES))
    const paths = Array.from({ length: PUSHES }, (_, i) =>
      cachedPath(key, `pushed-${i}`, noise(300_000, i)),
    )
    const from = await writeCachedPaths(join(path, 'pushes'), paths)
    const slow = stack.use(await slowCache(long))
    const args = await argsOf(`http://127.0.0.1:${slow.port}`, `${key.publicKey()}`)
    const init = { args, state: join(path, 'state') }
    const first = stack.use(await startDaemon(init))

    // What comes slowly is downloaded by somebody who keeps what has come, and by Nix.
    const name = narInfoUrl(first.gatewayUrl, `${long.storePath}`)
    await until(async () => (await fetch(name)).ok)
    const nar = `${first.gatewayUrl}/${parseNarInfo(await (await fetch(name)).text()).url}`
    const download = new Download(await asked(nar))
    const store = join(path, 'store')
    const trust = ['--option', 'trusted-public-keys', `${key.publicKey()}`]
    // However long a busy machine takes until the node is back.
    const patient = [...trust, '--option', 'download-attempts', '10']
    const copy = [
      'copy',
      ...patient,
      '--from',
      first.gatewayUrl,
      '--to',
      store,
      `${long.storePath}`,
    ]
    const copied = Promise.allSettled([nix('nix', copy)])

    const load = new RestartLoad(first, { from, paths })
    await load.underWay()
    const begunMs = performance.now()
    expect(await first.stop()).toBe(0)
    expect(performance.now() - begunMs).toBeLessThan(STOP_MS_MAX)
    expect(await download.end).toBe('broken off')
    slow.letGo()
    await using second = await startDaemon(init)
    await load.stop()

    const had = download.bytes
    expect(had.length).toBeGreaterThan(0)
    const rest = await asked(nar, { range: `bytes=${had.length}-` })
    expect(rest.statusCode).toBe(206)
    const resumed = new Download(rest)
    expect(await resumed.end).toBe('whole')
    expect(Buffer.concat([had, resumed.bytes]).equals(long.nar)).toBe(true)
    expect(await copied).toMatchObject([{ status: 'fulfilled' }])
    await verifyInStore(store, `${long.storePath}`)

    for (const it of load.acknowledged) expect(await faultOf(second, it)).toBeUndefined()
    expect([...load.answers].filter((it) => it !== 200 && it !== 'no connection')).toEqual([])
    await pushed(second, from, `${paths.at(-1)!.storePath}`)
  },
)

/** Flags of a node that comes back at the same ports. */
async function argsOf(upstream: string, publicKey: string): Promise<string[]> {
  const [gateway, rpc, peers] = await freePorts(3)
  return [
    ...['--no-mdns', '--trusted-key', publicKey, '--upstream', upstream],
    ...['--gateway', `127.0.0.1:${gateway}`, '--rpc', `127.0.0.1:${rpc}`],
    ...['--listen', `/ip4/127.0.0.1/tcp/${peers}`],
  ]
}

/** A download of which somebody keeps what has come when it breaks off. */
class Download {
  readonly #pieces: Buffer[] = []
  readonly end: Promise<'whole' | 'broken off'>

  constructor(answer: IncomingMessage) {
    answer.on('data', (piece: Buffer) => this.#pieces.push(piece))
    this.end = new Promise((resolve) => {
      answer.once('end', () => resolve('whole'))
      answer.once('error', () => resolve('broken off'))
    })
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#pieces)
  }
}

async function asked(url: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  return await new Promise((resolve, reject) => {
    get(url, { headers, agent: false }, resolve).on('error', reject)
  })
}
