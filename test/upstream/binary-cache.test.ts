import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { RateLimit } from '../../src/foundation/rate-limit.ts'
import { COMPRESSIONS, type Compression } from '../../src/nar/compression.ts'
import { type NarInfo, renderNarInfo } from '../../src/nix/nar-info.ts'
import { FetchProgress } from '../../src/substitution/fetch-progress.ts'
import { BinaryCache, FILE_EXCESS_BYTES_MAX } from '../../src/upstream/binary-cache.ts'
import { faultOf } from '../contracts/cache-files-contract.ts'
import { pathNamed } from '../fixtures/claims.ts'
import { allBytes, call, noise } from '../fixtures/content.ts'
import { manualClock } from '../foundation/manual-clock.ts'
import { BZIP2_MISSING, packed } from '../nar/packed.ts'
import { type MemoryFiles, memoryFiles } from './memory-files.ts'

const PATH = pathNamed('hello')
const NAR = Buffer.concat([noise(100_000), Buffer.alloc(100_000)])

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest()
}

function infoOf(file: Uint8Array, compression: string, fields: Partial<NarInfo> = {}): NarInfo {
  return {
    storePath: PATH,
    url: 'nar/hello.nar',
    compression,
    fileSize: file.length,
    fileHash: { algorithm: 'sha256', bytes: sha256(file) },
    narSha256: sha256(NAR),
    narSize: NAR.length,
    references: [],
    signatures: [],
    ...fields,
  }
}

/** A cache with one NAR in a file. */
function cacheOf(file: Uint8Array): { cache: BinaryCache; files: MemoryFiles } {
  const files = memoryFiles()
  files.files.set('nar/hello.nar', file)
  return { cache: new BinaryCache({ files }), files }
}

function narOf(cache: BinaryCache, info: NarInfo, progress = new FetchProgress()): Promise<Buffer> {
  return allBytes(cache.nar(info, progress, call))
}

test.each(COMPRESSIONS.filter((it) => it !== 'bzip2' || BZIP2_MISSING === undefined))(
  'a NAR in %s',
  async (compression: Compression) => {
    const file = await packed(NAR, compression)
    const { cache } = cacheOf(file)
    const progress = new FetchProgress()
    const nar = await narOf(cache, infoOf(file, compression), progress)
    expect(Buffer.compare(nar, NAR)).toBe(0)
    expect(progress).toMatchObject({ bytesTotal: NAR.length, bytesDone: NAR.length })
    expect(progress.bytesFetched).toBe(file.length)
    expect([...progress.peers]).toEqual(['memory'])
    const bare = infoOf(file, compression, { fileSize: undefined, fileHash: undefined })
    expect(Buffer.compare(await narOf(cache, bare), NAR)).toBe(0)
  },
)

test('files that are not what the narinfo says', async () => {
  const file = await packed(NAR, 'xz')
  const wrong = async (bytes: Uint8Array, fields: Partial<NarInfo> = {}): Promise<string> =>
    await faultOf(narOf(cacheOf(bytes).cache, infoOf(file, 'xz', fields)))
  const unsaid = { fileSize: undefined, fileHash: undefined }
  expect(await wrong(file)).toBe('none')
  expect(await wrong(file.subarray(0, -100))).toMatch(/cut-off|wrong-content/)
  expect(await wrong(file.subarray(0, -100), unsaid)).toBe('wrong-content')
  expect(await wrong(file.subarray(0, 40_000), unsaid)).toBe('wrong-content')
  expect(await wrong(Buffer.concat([file, Buffer.alloc(4)]))).toBe('wrong-content')
  expect(await wrong(noise(file.length))).toBe('wrong-content')
  expect(await wrong(await packed(NAR.subarray(1), 'xz'), unsaid)).toBe('wrong-content')
  const longer = Buffer.concat([NAR, NAR])
  expect(await wrong(await packed(longer, 'xz'), unsaid)).toBe('wrong-content')
  expect(await wrong(file, { compression: 'lzip' })).toBe('wrong-content')
  expect(await wrong(file, { url: 'nar/other.nar' })).toBe('nar-absent')
})

test('a body without an end that decodes to nothing is ended', async () => {
  const files = memoryFiles()
  const empty = gzipSync(Buffer.alloc(0))
  const many = Buffer.concat(Array.from({ length: 1_000 }, () => empty))
  let given = 0
  const endless = {
    ...files,
    get: async () => ({
      bytes: (async function* () {
        for (;;) {
          given += many.length
          yield many
        }
      })(),
    }),
  }
  const cache = new BinaryCache({ files: endless })
  const info = infoOf(NAR, 'gzip', { fileSize: undefined, fileHash: undefined })
  expect(await faultOf(narOf(cache, info))).toBe('wrong-content')
  expect(given).toBeLessThan(2 * (NAR.length + FILE_EXCESS_BYTES_MAX))
})

test('what a cache says of itself', async () => {
  const info = async (text: string | Buffer | undefined, init = {}): Promise<unknown> => {
    const files = memoryFiles()
    if (text !== undefined) files.files.set('nix-cache-info', Buffer.from(text))
    const asked = new BinaryCache({ files }, init).info(call)
    return await asked.catch((error) => error.fault.code)
  }
  const said = 'StoreDir: /nix/store/\nWantMassQuery: 1\nPriority: 30\n'
  expect(await info(said)).toMatchObject({ priority: 30, wantMassQuery: true })
  expect(await info(undefined)).toBe('no-cache')
  expect(await info('<html>hello</html>')).toBe('no-cache')
  expect(await info('StoreDir: /gnu/store\n')).toBe('no-cache')
  expect(await info('StoreDir: /gnu/store\n', { storeDirectory: '/gnu/store' })).toMatchObject({})
  expect(await info('x'.repeat(20_000))).toBe('wrong-content')
  expect(await info(Buffer.from([0xff]))).toBe('wrong-content')
})

test('narinfos are of the path that was asked for, and can be read', async () => {
  const files = memoryFiles()
  const cache = new BinaryCache({ files })
  const name = `${PATH.hashText}.narinfo`
  const ask = (): Promise<NarInfo | undefined> => cache.narInfo(PATH.hash, call)
  expect(await ask()).toBeUndefined()
  files.files.set(name, Buffer.from(renderNarInfo(infoOf(NAR, 'none'))))
  expect((await ask())?.narSize).toBe(NAR.length)
  const other = renderNarInfo(infoOf(NAR, 'none', { storePath: pathNamed('other') }))
  files.files.set(name, Buffer.from(other))
  expect(await faultOf(ask())).toBe('wrong-content')
  files.files.set(name, Buffer.from(renderNarInfo(infoOf(NAR, 'none')).slice(0, 200)))
  expect(await faultOf(ask())).toBe('wrong-content')
  files.files.set(name, Buffer.alloc(2 * 1024 * 1024, 'a'))
  expect(await faultOf(ask())).toBe('wrong-content')
})

test('NARs come no faster than they may', async () => {
  const clock = manualClock()
  const { files } = cacheOf(NAR)
  const rate = new RateLimit({ clock }, { bytesPerSecond: 50_000 })
  const reading = narOf(new BinaryCache({ files, rate }), infoOf(NAR, 'none'))
  let isRead = false
  void reading.then(() => {
    isRead = true
  })
  for (let ms = 0; ms < 3_500; ms += 50) await clock.pass(50)
  expect(isRead).toBe(false)
  for (let ms = 0; ms < 1_000; ms += 50) await clock.pass(50)
  expect(Buffer.compare(await reading, NAR)).toBe(0)
})
