import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLog } from '../../src/foundation/log.ts'
import { systemClock } from '../../src/foundation/system-clock.ts'
import { COMPRESSIONS } from '../../src/nar/compression.ts'
import { nixFingerprint } from '../../src/nix/fingerprint.ts'
import { PublicKey } from '../../src/nix/key.ts'
import { StorePath } from '../../src/nix/store-path.ts'
import { FetchProgress } from '../../src/substitution/fetch-progress.ts'
import type { NarOffer } from '../../src/substitution/path-source.ts'
import { BinaryCache } from '../../src/upstream/binary-cache.ts'
import type { CacheFiles } from '../../src/upstream/cache-files.ts'
import { Netrc } from '../../src/upstream/netrc.ts'
import { openCacheFiles } from '../../src/upstream/open-cache-files.ts'
import { UpstreamSource } from '../../src/upstream/upstream-source.ts'
import { parseUpstreamUrl } from '../../src/upstream/upstream-url.ts'
import { allBytes, call, collect, noise } from '../fixtures/content.ts'
import { NGINX_MISSING, type Served, startNginxCache } from '../fixtures/nginx-cache.ts'
import {
  buildNixClosure,
  type ClosureKey,
  type NixClosure,
  nix,
  nixMissing,
} from '../fixtures/nix-closure.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'

const skipped = nixMissing() ?? NGINX_MISSING
const why = skipped === undefined ? '' : ` (${skipped})`

const stack = new AsyncDisposableStack()
let directory: string
let closure: NixClosure
let key: ClosureKey
let nginx: Served

beforeAll(async () => {
  directory = stack.use(await temporaryDirectory()).path
  if (skipped !== undefined) return
  closure = stack.use(
    await buildNixClosure(directory, { paths: 12, bigFileBytes: 3_000_000, smallFiles: 50 }),
  )
  key = await closure.sign('builder-1')
  nginx = stack.use(await startNginxCache(directory, directory))
})
afterAll(() => stack.disposeAsync())

/** Has Nix write its cache of the closure, and opens it by both ways. */
async function cachesOf(compression: string): Promise<CacheFiles[]> {
  const url = `file://${directory}/${compression}`
  await nix('nix', ['copy', '--to', `${url}?compression=${compression}`, closure.top])
  const components = { clock: systemClock, netrc: Netrc.none() }
  return [url, `http://127.0.0.1:${nginx.port}/cache/${compression}`].map((it) =>
    openCacheFiles(components, parseUpstreamUrl(it), { env: {} }),
  )
}

function sourceOf(files: CacheFiles): UpstreamSource {
  const cache = new BinaryCache({ files })
  return new UpstreamSource({ cache, clock: systemClock, log: silentLog })
}

async function offerOf(source: UpstreamSource, path: string): Promise<NarOffer | undefined> {
  const [offer] = await collect(source.find(StorePath.parse(path).hash, call))
  return offer
}

describe.skipIf(skipped)(`caches that Nix wrote${why}`, () => {
  test.each(COMPRESSIONS)('in %s', async (compression) => {
    const publicKey = PublicKey.parse(key.publicKey)
    for (const files of await cachesOf(compression)) {
      const source = sourceOf(files)
      await source.probe(call)
      for (const path of closure.paths) {
        const offer = await offerOf(source, path)
        const { facts } = offer!
        expect(facts.storePath.toString()).toBe(path)
        const nar = await allBytes(offer!.nar(new FetchProgress(), call))
        const sha256 = createHash('sha256').update(nar).digest()
        expect(Buffer.compare(sha256, facts.narSha256)).toBe(0)
        const signed = nixFingerprint(facts)
        expect(facts.signatures.some((it) => publicKey.verify(signed, it))).toBe(true)
      }
      expect(await collect(source.find(noise(20), call))).toEqual([])
      expect(source.faults.count).toBe(0)
      await files.close()
    }
  })
})

describe.skipIf(skipped)(`what is put${why}`, () => {
  test('Nix reads back', async () => {
    const [source] = await cachesOf('zstd')
    const path = closure.paths[0]!
    const target = join(directory, 'copied')
    const files = openCacheFiles(
      { clock: systemClock, netrc: Netrc.none() },
      parseUpstreamUrl(`file://${target}`),
      { env: {} },
    )
    const info = await new BinaryCache({ files: source! }).narInfo(StorePath.parse(path).hash, call)
    const name = `${StorePath.parse(path).hashText}.narinfo`
    for (const it of ['nix-cache-info', info!.url, name]) {
      const bytes = await allBytes((await source!.get(it, call))!.bytes)
      const body = {
        size: bytes.length,
        open: async function* () {
          yield bytes
        },
      }
      await files.put(it, body, 'application/octet-stream', call)
    }
    await writeFile(join(directory, 'keys'), key.publicKey)
    const trusted = ['--option', 'trusted-public-keys', key.publicKey]
    const root = join(directory, 'root')
    await nix('nix', ['copy', '--store', root, '--from', `file://${target}`, path, ...trusted])
    await nix('nix-store', ['--store', root, '--verify-path', path])
  })
})
