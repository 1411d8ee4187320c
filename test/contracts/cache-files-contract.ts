import { expect, test } from 'vitest'
import { CacheError } from '../../src/upstream/cache-error.ts'
import type { CacheFileBody, CacheFiles } from '../../src/upstream/cache-files.ts'
import { allBytes, call, noise } from '../fixtures/content.ts'

const TYPE = 'application/x-nix-nar'

/** A cache for one scenario. */
export interface MadeCacheFiles extends AsyncDisposable {
  readonly files: CacheFiles
  /** The same, in a place that is not there. */
  readonly elsewhere: CacheFiles
}

/** A body of these bytes, in pieces. */
export function bodyOf(bytes: Uint8Array, size = bytes.length): CacheFileBody {
  return {
    size,
    open: async function* () {
      for (let at = 0; at < bytes.length; at += 100_003) yield bytes.subarray(at, at + 100_003)
    },
  }
}

/** The code of the fault that something ends with. */
export async function faultOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'none'
  } catch (error) {
    return error instanceof CacheError ? error.fault.code : `not ours: ${error}`
  }
}

/**
 * What the files of every kind of cache keep to. Each scenario gets a fresh cache. `wholeUploads`
 * says whether the server throws away what was not sent to its end, as real ones do.
 */
export function cacheFilesContract(
  label: string,
  make: () => Promise<MadeCacheFiles>,
  init: { readonly wholeUploads: boolean } = { wholeUploads: true },
): void {
  const same = (left: Uint8Array, right: Uint8Array): void =>
    expect(Buffer.compare(left, right)).toBe(0)
  const read = async (files: CacheFiles, name: string, offset?: number): Promise<Buffer> => {
    const file = await files.get(name, call, offset)
    return await allBytes(file!.bytes)
  }

  test(`${label}: a file that is not there is undefined, not an error`, async () => {
    await using made = await make()
    expect(await made.files.get('nar/absent.nar', call)).toBeUndefined()
    expect(await made.files.has('nar/absent.nar', call)).toBe(false)
  })

  test(`${label}: where there is no cache, nothing is said to be absent`, async () => {
    await using made = await make()
    expect(await faultOf(made.elsewhere.get('nix-cache-info', call))).not.toBe('none')
    await made.elsewhere.close()
  })

  test(`${label}: what was put is read back, with its size and a tag`, async () => {
    await using made = await make()
    const bytes = noise(3_000_001, label)
    await made.files.put('nar/one.nar', bodyOf(bytes), TYPE, call)
    expect(await made.files.has('nar/one.nar', call)).toBe(true)
    const file = await made.files.get('nar/one.nar', call)
    expect(file?.size).toBe(bytes.length)
    expect(file?.etag).toBeTruthy()
    same(await allBytes(file!.bytes), bytes)
  })

  test(`${label}: empty files, and names with odd letters`, async () => {
    await using made = await make()
    for (const name of ['empty', 'a/b/c/d', 'log/x-1.0_+=.drv', '.hidden']) {
      await made.files.put(name, bodyOf(Buffer.from(name === 'empty' ? '' : name)), TYPE, call)
      expect((await read(made.files, name)).toString()).toBe(name === 'empty' ? '' : name)
    }
  })

  test(`${label}: from an offset on`, async () => {
    await using made = await make()
    const bytes = noise(200_000, label)
    await made.files.put('part', bodyOf(bytes), TYPE, call)
    for (const offset of [1, 65_536, 199_999, 200_000, 300_000]) {
      same(await read(made.files, 'part', offset), bytes.subarray(offset))
    }
    expect((await made.files.get('part', call, 100))?.size).toBe(bytes.length)
  })

  test(`${label}: a file that is put again is the latest`, async () => {
    await using made = await make()
    await made.files.put('twice', bodyOf(noise(90_000, 'first')), TYPE, call)
    await made.files.put('twice', bodyOf(Buffer.from('latest')), TYPE, call)
    expect((await read(made.files, 'twice')).toString()).toBe('latest')
  })

  test(`${label}: an upload that breaks off leaves what was there`, async () => {
    await using made = await make()
    await made.files.put('kept', bodyOf(Buffer.from('kept')), TYPE, call)
    const reason = new Error('the disk went away')
    const broken: CacheFileBody = {
      size: 1_000_000,
      open: async function* () {
        yield noise(300_000)
        throw reason
      },
    }
    await expect(made.files.put('kept', broken, TYPE, call)).rejects.toBe(reason)
    const short = bodyOf(noise(300_000), 300_001)
    expect(await faultOf(made.files.put('kept', short, TYPE, call))).toBe('cut-off')
    expect(await faultOf(made.files.put('new', short, TYPE, call))).toBe('cut-off')
    const long = bodyOf(noise(300_000), 299_999)
    expect(await faultOf(made.files.put('new', long, TYPE, call))).toBe('cut-off')
    if (!init.wholeUploads) return
    same(await read(made.files, 'kept'), Buffer.from('kept'))
    expect(await made.files.has('new', call)).toBe(false)
  })

  test(`${label}: many at once`, async () => {
    await using made = await make()
    const names = Array.from({ length: 40 }, (_, i) => `many/${i}`)
    await Promise.all(names.map((it) => made.files.put(it, bodyOf(noise(70_000, it)), TYPE, call)))
    const all = await Promise.all(names.map((it) => read(made.files, it)))
    for (const [i, bytes] of all.entries()) same(bytes, noise(70_000, names[i]))
  })

  test(`${label}: who leaves, or aborts, is let go`, async () => {
    await using made = await make()
    await made.files.put('long', bodyOf(noise(5_000_000)), TYPE, call)
    for await (const piece of (await made.files.get('long', call))!.bytes) {
      expect(piece.length).toBeGreaterThan(0)
      break
    }
    const leave = new AbortController()
    const reason = new Error('left')
    const file = await made.files.get('long', { signal: leave.signal })
    const reading = (async () => {
      for await (const _ of file!.bytes) leave.abort(reason)
    })()
    await expect(reading).rejects.toBe(reason)
    await expect(made.files.get('long', { signal: leave.signal })).rejects.toBe(reason)
  })

  test(`${label}: names do not lead out of it`, async () => {
    await using made = await make()
    for (const name of ['http://localhost/x', '//localhost/x', 'x'.repeat(5_000)]) {
      expect(await faultOf(made.files.get(name, call)), name.slice(0, 40)).toBe('bad-name')
      expect(await faultOf(made.files.has(name, call)), name.slice(0, 40)).toBe('bad-name')
    }
  })
}
