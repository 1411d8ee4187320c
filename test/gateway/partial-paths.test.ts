import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/foundation/system-clock.ts'
import { narUrl } from '../../src/gateway/nar-url.ts'
import { ingestNar } from '../../src/nar/ingest-nar.ts'
import { PathInfo } from '../../src/pathinfo/path-info.ts'
import { Signer } from '../../src/pathinfo/signer.ts'
import type { Offer, PathSource } from '../../src/substitution/path-source.ts'
import { SubstitutingCastore } from '../../src/substitution/substituting-castore.ts'
import { KEYS, pathNamed } from '../fixtures/claims.ts'
import { call, noise } from '../fixtures/content.ts'
import { Neighbour } from '../fixtures/neighbour.ts'
import { directory, file, inPieces, narOf } from '../nar/trees.ts'
import { rawHttp } from './raw-http.ts'
import { testGateway } from './test-gateway.ts'

const LARGE = noise(3_000_000, 'large')
const SMALLS = Object.fromEntries(
  Array.from({ length: 300 }, (_, i) => [`f${1000 + i}`, file(noise(700, i))]),
)
const TREE = directory({ a: file('first'), large: file(LARGE), many: directory(SMALLS) })
const NAR = narOf(TREE)

interface Init {
  readonly signed?: 'root' | 'nix'
  /** What the claim says in place of the truth. */
  readonly narSize?: number
}

/** A gateway that holds nothing, with a neighbour that holds one path. */
async function world({ signed = 'root', narSize }: Init = {}) {
  const far = new Neighbour()
  const ingested = await ingestNar(inPieces(NAR, [1 << 20]), far.castore, call)
  const fields = { ...ingested, narSize: narSize ?? ingested.narSize }
  const plain = new PathInfo({ storePath: pathNamed('path'), references: [], ...fields })
  const { signatures, rootSignatures } = new Signer({ key: KEYS.a }).sign(plain)
  const isRoot = signed === 'root'
  const pathInfo = plain.withSignatures(isRoot ? [] : signatures, isRoot ? rootSignatures : [])
  let fetches = 0
  const offer: Offer = {
    kind: 'content',
    claim: { pathInfo, origin: 'stranger' },
    fetch: async (into) => {
      fetches++
      await ingestNar(inPieces(NAR, [1 << 20]), into, call)
    },
    turnDown: () => undefined,
  }
  const source: PathSource = {
    name: 'neighbour',
    priority: 0,
    async *find() {
      yield offer
    },
  }
  const gateway = await testGateway({
    sources: [source],
    trustedKeys: [KEYS.a.publicKey()],
    contents: (near) => new SubstitutingCastore({ near, far, clock: systemClock }).contents,
  })
  const get = (range?: string, headers: Record<string, string> = {}) =>
    rawHttp(gateway.port, `/${narUrl(pathInfo)}`, {
      headers: { ...headers, ...(range === undefined ? {} : { range: `bytes=${range}` }) },
    })
  const ls = () => rawHttp(gateway.port, `/${pathInfo.storePath.hashText}.ls`)
  return {
    ...{ gateway, far, get, ls, pathInfo, fetches: () => fetches },
    [Symbol.asyncDispose]: () => gateway[Symbol.asyncDispose](),
  }
}

describe('of a path that only a neighbour has, its root signed', () => {
  test('a range is served from what covers it alone', async () => {
    await using it = await world()
    const at = NAR.indexOf(LARGE.subarray(0, 100)) + 1_000_000
    const { status, headers, body } = await it.get(`${at}-${at + 4095}`)
    expect(status).toBe(206)
    expect(headers['content-range']).toBe(`bytes ${at}-${at + 4095}/${NAR.length}`)
    expect(body.equals(NAR.subarray(at, at + 4096))).toBe(true)
    expect([it.fetches(), it.far.wholes.length, it.far.bytesRead]).toEqual([0, 0, 4096])
    expect(it.gateway.pathInfos.count()).toBe(0)
  })

  test('any ranges are those of the NAR', async () => {
    await using it = await world()
    for (let i = 0; i < 30; i++) {
      const from = noise(4, i).readUInt32LE() % NAR.length
      const to = from + (noise(4, -i).readUInt32LE() % 300_000)
      const { status, body } = await it.get(`${from}-${to}`)
      expect(status).toBe(206)
      expect(body.equals(NAR.subarray(from, to + 1)), `${from}-${to}`).toBe(true)
    }
    const suffix = await it.get('-200000') // most of the small files
    expect(suffix.body.equals(NAR.subarray(-200_000))).toBe(true)
    const several = await it.get('0-99,2000000-2000099')
    expect(several.status).toBe(206)
    expect(several.headers['content-type']).toMatch(/^multipart\/byteranges/)
    expect(it.fetches()).toBe(0)
  })

  test('its listing takes its Directories, and nothing else', async () => {
    await using it = await world()
    const { status, body } = await it.ls()
    expect(status).toBe(200)
    expect(JSON.parse(String(body)).root.entries.large.size).toBe(LARGE.length)
    expect([it.fetches(), it.far.wholes.length, it.far.opened.length]).toEqual([0, 0, 0])
  })

  test.each([
    ['no range', undefined, {}],
    ['no well-formed range', 'x', {}],
    ['a range that is all of it', '0-', {}],
    ['a range on another condition', '0-9', { 'if-range': '"other"' }],
  ])('who asks for the whole gets it fetched and checked first: %s', async (_, range, headers) => {
    await using it = await world()
    const { status, body } = await it.get(range, headers)
    expect(status).toBe(range === '0-' ? 206 : 200)
    expect(body.equals(NAR)).toBe(true)
    expect([it.fetches(), it.gateway.pathInfos.count()]).toEqual([1, 1])
    expect([it.far.wholes.length, it.far.opened.length]).toEqual([0, 0])
    const { asked } = it.far
    expect((await it.get('10-19')).body.equals(NAR.subarray(10, 20))).toBe(true)
    expect(it.far.asked).toBe(asked) // it is held now
  })

  test('HEAD is told of it, and a range behind its end is none', async () => {
    await using it = await world()
    const head = await rawHttp(it.gateway.port, `/${narUrl(it.pathInfo)}`, { method: 'HEAD' })
    expect([head.status, head.headers['content-length']]).toEqual([200, `${NAR.length}`])
    const behind = await it.get(`${NAR.length}-`)
    expect(behind.status).toBe(416)
    expect(behind.headers['content-range']).toBe(`bytes */${NAR.length}`)
    expect(it.fetches()).toBe(0)
  })

  test('what can not be had is absent, or ends the answer early', async () => {
    await using it = await world()
    it.far.fetchDirectories = async () => false
    expect((await it.get('0-9')).status).toBe(404)
    expect((await it.ls()).status).toBe(404)
    await using gone = await world()
    gone.far.isGone = true
    const at = NAR.indexOf(LARGE.subarray(0, 100)) + 1000
    expect((await gone.get(`${at}-${at + 9}`)).status).toBe(404)
  })

  test('that its NAR is longer than it says is found out before anything is sent', async () => {
    await using it = await world({ narSize: NAR.length + 8 })
    expect((await it.get('0-9')).status).toBe(404)
  })
})

test('a path that is signed the Nix way alone is fetched whole for a range or a listing', async () => {
  for (const what of ['range', 'listing']) {
    await using it = await world({ signed: 'nix' })
    const { status } = what === 'range' ? await it.get('10-19') : await it.ls()
    expect(status).toBe(what === 'range' ? 206 : 200)
    expect([it.fetches(), it.far.asked, it.gateway.pathInfos.count()]).toEqual([1, 0, 1])
  }
})
