import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { silentLog } from '../../src/foundation/log.ts'
import { systemClock } from '../../src/foundation/system-clock.ts'
import { type NarInfo, renderNarInfo } from '../../src/nix/nar-info.ts'
import { FetchProgress } from '../../src/substitution/fetch-progress.ts'
import { BinaryCache } from '../../src/upstream/binary-cache.ts'
import { CacheError } from '../../src/upstream/cache-error.ts'
import { HttpCacheFiles, type UpstreamLimits } from '../../src/upstream/http-cache-files.ts'
import { Netrc } from '../../src/upstream/netrc.ts'
import { UpstreamSource } from '../../src/upstream/upstream-source.ts'
import { pathNamed } from '../fixtures/claims.ts'
import { allBytes, call, collect, noise } from '../fixtures/content.ts'
import {
  answering,
  failingCache,
  type Misdeed,
  sendsWithoutEnd,
} from '../fixtures/failing-cache.ts'
import { packed } from '../nar/packed.ts'

const PATH = pathNamed('hello')
const NAR = noise(200_000)
const XZ = await packed(NAR, 'xz')
const INFO: NarInfo = {
  storePath: PATH,
  url: 'nar/hello.nar.xz',
  compression: 'xz',
  narSha256: createHash('sha256').update(NAR).digest(),
  narSize: NAR.length,
  references: [],
  signatures: [],
}

/** What fetching a NAR comes to where the cache does this with it, and how often it was asked. */
async function fetched(
  narInfo: Misdeed,
  nar: Misdeed,
  limits: UpstreamLimits,
): Promise<{ readonly end: string; readonly faults: number }> {
  await using cache = await failingCache((socket, request, number) =>
    (request.line.includes('.narinfo') ? narInfo : nar)(socket, request, number),
  )
  const base = new URL(`http://127.0.0.1:${cache.port}/`)
  const components = { clock: systemClock, netrc: Netrc.none() }
  const files = new HttpCacheFiles(components, { ...limits, base, name: 'dying' })
  const source = new UpstreamSource({
    cache: new BinaryCache({ files }),
    clock: systemClock,
    log: silentLog,
  })
  try {
    const [offer] = await collect(source.find(PATH.hash, call))
    if (offer === undefined) return { end: 'absent', faults: source.faults.count }
    const bytes = await allBytes(offer.nar(new FetchProgress(), call))
    return { end: bytes.equals(NAR) ? 'whole' : 'other', faults: source.faults.count }
  } catch (error) {
    const end = error instanceof CacheError ? error.fault.code : `not ours: ${error}`
    return { end, faults: source.faults.count }
  } finally {
    await files.close()
  }
}

function info(fields: Partial<NarInfo> = {}): Misdeed {
  return answering('200 OK', [], renderNarInfo({ ...INFO, ...fields }))
}

function binary(bytes: Uint8Array, headers: readonly string[] = []): Misdeed {
  return (socket) => {
    socket.write(['HTTP/1.1 200 OK', ...headers, 'connection: close', '', ''].join('\r\n'))
    socket.end(bytes)
  }
}

const WHOLE = binary(XZ, [`content-length: ${XZ.length}`])

test.each<[string, string, number, Misdeed, Misdeed]>([
  ['all is well', 'whole', 0, info(), WHOLE],
  ['its narinfo is absent', 'absent', 0, answering('404 Not Found'), WHOLE],
  [
    'its narinfo is cut off',
    'cut-off',
    0,
    answering('200 OK', ['content-length: 999'], 'St'),
    WHOLE,
  ],
  ['its narinfo is no narinfo', 'wrong-content', 1, answering('200 OK', [], '<html>'), WHOLE],
  ['its narinfo has no end', 'wrong-content', 1, sendsWithoutEnd, WHOLE],
  ['its narinfo fails', 'broken', 0, answering('500 Oh'), WHOLE],
  ['it names a NAR elsewhere', 'bad-name', 1, info({ url: 'http://127.0.0.2/x' }), WHOLE],
  ['it has no NAR', 'nar-absent', 1, info(), answering('404 Not Found')],
  ['its NAR fails', 'broken', 0, info(), answering('502 Bad Gateway')],
  ['it is busy', 'busy', 0, info(), answering('429 Too Many Requests')],
  ['its NAR does not come', 'unreachable', 0, info(), () => undefined],
  [
    'its NAR is cut off',
    'cut-off',
    0,
    info(),
    binary(XZ.subarray(0, 9_000), ['content-length: 99999']),
  ],
  ['its NAR is truncated', 'wrong-content', 1, info(), binary(XZ.subarray(0, 9_000))],
  ['its NAR has another size', 'wrong-content', 1, info({ fileSize: 5 }), WHOLE],
  ['its NAR is longer', 'wrong-content', 1, info({ narSize: NAR.length - 1 }), WHOLE],
  ['its NAR is shorter', 'wrong-content', 1, info({ narSize: NAR.length + 1 }), WHOLE],
  ['its NAR has no end', 'wrong-content', 1, info({ compression: 'none' }), sendsWithoutEnd],
])('where %s: %s', async (_, end, faults, narInfo, nar) => {
  // Where nothing comes, it is not waited for long; elsewhere a busy machine has its time.
  const limits = end === 'unreachable' ? { answerMs: 300 } : {}
  expect(await fetched(narInfo, nar, limits)).toEqual({ end, faults })
})
