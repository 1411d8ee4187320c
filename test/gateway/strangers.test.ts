import { networkInterfaces } from 'node:os'
import { describe, expect, test } from 'vitest'
import { StrangerBudget } from '../../src/gateway/stranger-budget.ts'
import { nixFingerprint } from '../../src/nix/fingerprint.ts'
import type { NarInfo } from '../../src/nix/nar-info.ts'
import { KEYS, pathNamed } from '../fixtures/claims.ts'
import { call, collect, noise } from '../fixtures/content.ts'
import { manualClock } from '../foundation/manual-clock.ts'
import { BZIP2_MISSING, packed } from '../nar/packed.ts'
import { directory, file, narOf, SMALL } from '../nar/trees.ts'
import { rawHttp } from './raw-http.ts'
import { narInfoUrl, TOKEN, testGateway } from './test-gateway.ts'
import {
  hashText,
  isAbsent,
  NAR,
  NAR_INFO_PATH,
  narInfo,
  PATH,
  pulled,
  put,
  putNar,
  sha256,
} from './uploading.ts'

/** What a proxy on this machine adds: then it is not its owner who asks. */
const ELSEWHERE = { 'x-forwarded-for': '192.0.2.7' }
const trustedKeys = [KEYS.a.publicKey()]

const basic = (password: string) => `Basic ${Buffer.from(`nix:${password}`).toString('base64')}`

/** The narinfo of {@link NAR}, signed. */
function signed(key = KEYS.a, fields: Partial<NarInfo> = {}): string {
  const references = [pathNamed('glibc'), PATH]
  const claimed = { storePath: PATH, narSha256: sha256(NAR), narSize: NAR.length, references }
  return narInfo({ signatures: [key.sign(nixFingerprint(claimed))], ...fields })
}

const putInfo = (
  gateway: Parameters<typeof put>[0],
  body: string,
  headers: Record<string, string>,
) => put(gateway, NAR_INFO_PATH, body, { headers })

describe('from elsewhere', () => {
  test('what a trusted key signed is taken, and comes back', async () => {
    await using gateway = await testGateway({ trustedKeys })
    expect((await putNar(gateway, 'xz', { headers: ELSEWHERE })).status).toBe(204)
    const { file: xz } = await putNar(gateway, 'xz', { headers: ELSEWHERE })
    expect((await putInfo(gateway, signed(KEYS.a, xz), ELSEWHERE)).status).toBe(204)
    expect((await pulled(gateway)).nar.equals(NAR)).toBe(true)
  })

  test('what nobody, or somebody else, signed is refused with a challenge', async () => {
    await using gateway = await testGateway({ trustedKeys })
    await putNar(gateway, 'none', { headers: ELSEWHERE })
    for (const text of [narInfo({ signatures: [] }), narInfo(), signed(KEYS.b)]) {
      const { status, headers } = await putInfo(gateway, text, ELSEWHERE)
      expect(status).toBe(401)
      expect(headers['www-authenticate']).toBe('Basic realm="cairn"')
    }
    const forged = narInfo({ signatures: [{ name: 'a-1', data: noise(64) }] })
    expect((await putInfo(gateway, forged, ELSEWHERE)).status).toBe(403)
    expect(await collect(gateway.pathInfos.list(call))).toEqual([])
    expect((await putInfo(gateway, signed(), ELSEWHERE)).status).toBe(204)
  })

  test('a signature speaks for its own NAR alone', async () => {
    await using gateway = await testGateway({ trustedKeys })
    const nar = narOf(file('another'))
    const { file: other } = await putNar(gateway, 'none', { nar, headers: ELSEWHERE })
    expect((await putInfo(gateway, signed(KEYS.a, other), ELSEWHERE)).status).toBe(400)
    const measured = { narSha256: sha256(nar), narSize: nar.length }
    const lying = signed(KEYS.a, { ...other, ...measured })
    expect((await putInfo(gateway, lying, ELSEWHERE)).status).toBe(403)
    expect(await isAbsent(gateway)).toBe(true)
  })

  test('a path that is held is not replaced, but may get more signatures', async () => {
    const keys = [...trustedKeys, KEYS.b.publicKey()]
    await using gateway = await testGateway({ trustedKeys: keys })
    const { file: own } = await putNar(gateway)
    expect((await putInfo(gateway, signed(KEYS.a), {})).status).toBe(204)
    expect((await putInfo(gateway, signed(KEYS.b, own), ELSEWHERE)).status).toBe(204)
    const { info } = await pulled(gateway)
    expect(info.signatures.map(({ name }) => name).toSorted()).toEqual(['a-1', 'b-1'])

    const nar = narOf(SMALL)
    const { file: other } = await putNar(gateway, 'none', { nar, headers: ELSEWHERE })
    const claimed = { storePath: PATH, narSha256: sha256(nar), narSize: nar.length, references: [] }
    const signatures = [KEYS.a.sign(nixFingerprint(claimed))]
    const replacing = narInfo({ ...other, ...claimed, signatures })
    expect((await putInfo(gateway, replacing, ELSEWHERE)).status).toBe(409)
    expect((await pulled(gateway)).nar.equals(NAR)).toBe(true)
  })

  test('a file has to bear the name of its hash, so that it can take no other’s place', async () => {
    await using gateway = await testGateway({ trustedKeys })
    const own = await put(gateway, '/nar/mine.nar', NAR)
    expect(own.status).toBe(204)
    const { status, text } = await put(gateway, '/nar/mine.nar', narOf(SMALL), {
      headers: ELSEWHERE,
    })
    expect({ status, text }).toEqual({ status: 400, text: expect.stringContaining('hash') })
    const got = await rawHttp(gateway.port, '/nar/mine.nar')
    expect(got.body.equals(NAR)).toBe(true)
  })

  test.each(['/log/x.drv', `/${PATH.hashText}.ls`, '/debuginfo/abcdef00', '/realisations/x.doi'])(
    '%s is for the owner, and its body is not read',
    async (path) => {
      await using gateway = await testGateway()
      const { status, headers, text } = await put(gateway, path, '{}', { headers: ELSEWHERE })
      expect(status).toBe(401)
      expect(headers['www-authenticate']).toContain('Basic')
      expect(text).toContain('cairn token')
    },
  )

  test('a token makes an owner of whoever has it; a wrong one is told at once', async () => {
    await using gateway = await testGateway()
    const good = [basic(TOKEN), `Bearer ${TOKEN}`]
    for (const authorization of good) {
      const headers = { ...ELSEWHERE, authorization }
      expect((await putNar(gateway, 'none', { headers })).status).toBe(204)
      expect((await putInfo(gateway, narInfo(), headers)).status).toBe(204)
    }
    for (const authorization of [basic('wrong'), 'Bearer wrong', 'Digest x']) {
      const headers = { ...ELSEWHERE, authorization }
      expect((await putNar(gateway, 'none', { headers })).status).toBe(401)
    }
  })

  test('a web page on this machine is not its owner', async () => {
    await using gateway = await testGateway()
    const headers = { origin: 'http://evil.example' }
    await putNar(gateway, 'none', { headers })
    expect((await putInfo(gateway, narInfo(), headers)).status).toBe(401)
  })

  test('a bomb ends early', async () => {
    const limits = { strangerAllowanceBytes: 1024 * 1024 }
    await using gateway = await testGateway({ limits })
    const bomb = await packed(narOf(directory({ zeros: file(Buffer.alloc(50_000_000)) })), 'zstd')
    const name = `/nar/${hashText(bomb)}.nar.zst`
    expect((await put(gateway, name, bomb, { headers: ELSEWHERE })).status).toBe(413)
    expect((await put(gateway, name, bomb)).status).toBe(204)
  })
})

describe('the budget of strangers', () => {
  test('is spent by NARs that nobody claims, and credited by those that are claimed', async () => {
    const limits = { unclaimedBytesMax: Math.floor(NAR.length * 1.5) }
    await using gateway = await testGateway({ trustedKeys, limits })
    const headers = ELSEWHERE
    const other = narOf(directory({ other: file(noise(NAR.length, 'other')) }))
    expect((await putNar(gateway, 'none', { headers })).status).toBe(204)
    expect((await putNar(gateway, 'none', { headers, nar: other })).status).toBe(413)
    expect((await putNar(gateway, 'none', { nar: other })).status).toBe(204) // the owner's
    expect((await putInfo(gateway, signed(), headers)).status).toBe(204)
    const third = narOf(directory({ third: file(noise(NAR.length, 'third')) }))
    expect((await putNar(gateway, 'none', { headers, nar: third })).status).toBe(204)
  })

  test.skipIf(BZIP2_MISSING)('is spent by what is kept beside the content, too', async () => {
    const limits = { unclaimedBytesMax: 200_000 }
    await using gateway = await testGateway({ limits })
    const nothing = await packed(Buffer.of(), 'bzip2')
    const body = Buffer.concat(Array<Buffer>(20_000).fill(nothing)) // unpacks to nothing at all
    const { status } = await put(gateway, '/nar/x.nar.bz2', body, { headers: ELSEWHERE })
    expect(status).toBe(413)
  })

  test('counts what failed, forgets what is old, and what is held costs nothing', () => {
    const clock = manualClock()
    const budget = new StrangerBudget(
      { clock },
      { unclaimedBytesMax: 1_000_000, unclaimedMs: 1000 },
    )
    budget.open().take(300_000) // broke off
    const known = budget.open()
    known.take(300_000)
    known.cancel()
    expect(budget.usedBytes).toBe(300_000)
    const taken = budget.open()
    taken.take(400_000)
    taken.settle(noise(32, 1))
    expect(() => budget.open().take(400_000)).toThrow(/signed/)
    budget.claimed(noise(32, 1))
    expect(budget.usedBytes).toBeLessThan(800_000)
    void clock.pass(1000)
    expect(budget.usedBytes).toBe(0)
  })

  test('is spent by very many small ones, too', () => {
    const budget = new StrangerBudget(
      { clock: manualClock() },
      { unclaimedBytesMax: 1024 * 1024, unclaimedMs: 1000 },
    )
    for (let i = 0; i < 16; i++) budget.open().take(1)
    expect(() => budget.open()).toThrow(/signed/)
  })
})

const outside = Object.values(networkInterfaces())
  .flat()
  .find((it) => it?.family === 'IPv4' && !it.internal)?.address

test.skipIf(outside === undefined)(
  'another machine may read what is shared, and write with a token (needs a network)',
  async () => {
    await using gateway = await testGateway({ host: '0.0.0.0', share: { mode: 'all' } })
    const { storePath } = await gateway.hold('small', SMALL)
    const host = outside!
    const url = `http://${host}:${gateway.port}`
    expect((await fetch(narInfoUrl({ ...gateway, url }, storePath))).status).toBe(200)
    expect((await putNar(gateway, 'none', { host })).status).toBe(204)
    expect((await put(gateway, NAR_INFO_PATH, narInfo(), { host })).status).toBe(401)
    const headers = { authorization: basic(TOKEN) }
    expect((await put(gateway, NAR_INFO_PATH, narInfo(), { host, headers })).status).toBe(204)
  },
)
