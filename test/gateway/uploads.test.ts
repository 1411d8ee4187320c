import { createHash } from 'node:crypto'
import { networkInterfaces } from 'node:os'
import { describe, expect, test } from 'vitest'
import { type NarInfo, parseNarInfo, renderNarInfo } from '../../src/nix/nar-info.ts'
import { encodeNixBase32 } from '../../src/nix/nix-base32.ts'
import { pathNamed } from '../fixtures/claims.ts'
import { noise } from '../fixtures/content.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { packed, unpacked } from '../nar/packed.ts'
import { directory, file, narOf, SMALL } from '../nar/trees.ts'
import { rawHttp } from './raw-http.ts'
import { narInfoUrl, type TestGateway, testGateway } from './test-gateway.ts'

const LARGE = directory({ large: file(noise(3_000_000, 'upload')), small: SMALL })
const NAR = narOf(LARGE)

const ENDINGS = { none: '.nar', xz: '.nar.xz', zstd: '.nar.zst', gzip: '.nar.gz' } as const

type Compression = keyof typeof ENDINGS

async function put(gateway: TestGateway, path: string, body: Uint8Array | string) {
  const response = await fetch(`${gateway.url}${path}`, { method: 'PUT', body: Buffer.from(body) })
  return { status: response.status, text: await response.text() }
}

/** Uploads a NAR under the name that Nix would give its file. */
async function putNar(gateway: TestGateway, compression: Compression = 'none', nar = NAR) {
  const body = await packed(nar, compression)
  const url = `/nar/${hashText(body)}${ENDINGS[compression]}`
  return { url, ...(await put(gateway, url, body)) }
}

function hashText(bytes: Uint8Array): string {
  return encodeNixBase32(createHash('sha256').update(bytes).digest())
}

function narInfo(fields: Partial<NarInfo> = {}): string {
  return renderNarInfo({
    storePath: pathNamed('uploaded'),
    url: 'nar/some.nar.xz',
    compression: 'xz',
    narSha256: createHash('sha256').update(NAR).digest(),
    narSize: NAR.length,
    references: [pathNamed('glibc'), pathNamed('uploaded')],
    deriver: pathNamed('uploaded.drv'),
    signatures: [{ name: 'stranger-1', data: noise(64, 'signature') }],
    ca: undefined,
    ...fields,
  })
}

const NAR_INFO_PATH = `/${pathNamed('uploaded').hashText}.narinfo`

/** What the gateway says of the uploaded path, and its NAR. */
async function pulled(gateway: TestGateway): Promise<{ info: NarInfo; nar: Buffer }> {
  const response = await fetch(narInfoUrl(gateway, pathNamed('uploaded')))
  const info = parseNarInfo(await response.text())
  const nar = await fetch(`${gateway.url}/${info.url}`)
  return { info, nar: Buffer.from(await nar.arrayBuffer()) }
}

async function isAbsent(gateway: TestGateway): Promise<boolean> {
  return (await fetch(narInfoUrl(gateway, pathNamed('uploaded')))).status === 404
}

describe.each(Object.keys(ENDINGS) as Compression[])('compressed by %s', (compression) => {
  test('a path is taken in, and comes back', async () => {
    await using gateway = await testGateway({ storage: 'segments' })
    const { url, status } = await putNar(gateway, compression)
    expect(status).toBe(204)
    expect((await put(gateway, NAR_INFO_PATH, narInfo())).status).toBe(204)
    const { info, nar } = await pulled(gateway)
    expect(nar.equals(NAR)).toBe(true)
    const { signatures, references, deriver } = parseNarInfo(narInfo())
    expect(info).toMatchObject({ signatures, references, deriver, compression: 'none' })
    expect((await fetch(gateway.url + url, { method: 'HEAD' })).status).toBe(200)
  })

  test('a file comes back under the name and in the form that it was put in', async () => {
    await using gateway = await testGateway()
    const { url } = await putNar(gateway, compression)
    const response = await fetch(gateway.url + url)
    const body = Buffer.from(await response.arrayBuffer())
    expect((await unpacked(body, compression)).equals(NAR)).toBe(true)
    for (const ending of Object.values(ENDINGS)) {
      const other = url.replace(/\.nar.*/, ending)
      if (other === url) continue
      expect((await fetch(gateway.url + other, { method: 'HEAD' })).status).toBe(404)
    }
  })

  test('what is cut short, altered or longer than it should be is refused', async () => {
    await using gateway = await testGateway()
    const body = await packed(NAR, compression)
    const altered = Uint8Array.from(body)
    altered[body.length >> 1]! ^= 0xff
    const bodies = {
      empty: Buffer.of(),
      'cut short': body.subarray(0, body.length - 100), // beyond what the format adds at the end
      'cut in half': body.subarray(0, body.length >> 1),
      'with bytes after the NAR': await packed(Buffer.concat([NAR, Buffer.alloc(8)]), compression),
      'no NAR': await packed(noise(1000), compression),
      // Node stops reading where a frame of zstd ends.
      ...(compression === 'zstd' ? {} : { 'with more': Buffer.concat([body, noise(1000)]) }),
    }
    for (const [how, sent] of Object.entries(bodies)) {
      const { status, text } = await put(gateway, `/nar/x${ENDINGS[compression]}`, sent)
      expect({ how, status }).toEqual({ how, status: 400 })
      expect(text).toContain('the NAR can not be taken in')
    }
    // Compressed noise is hardly checked: what is altered may pass, but for another NAR.
    await put(gateway, `/nar/x${ENDINGS[compression]}`, altered)
    expect((await put(gateway, NAR_INFO_PATH, narInfo())).status).toBe(400)
    expect(await isAbsent(gateway)).toBe(true)
  })
})

test('gzip without an ending, as Nix 2.8 sends it, is known by its first bytes', async () => {
  await using gateway = await testGateway()
  const body = await packed(NAR, 'gzip')
  expect((await put(gateway, `/nar/${hashText(body)}.nar`, body)).status).toBe(204)
  expect((await put(gateway, NAR_INFO_PATH, narInfo())).status).toBe(204)
  expect((await pulled(gateway)).nar.equals(NAR)).toBe(true)
  const file = await fetch(`${gateway.url}/nar/${hashText(body)}.nar`)
  const again = await unpacked(Buffer.from(await file.arrayBuffer()), 'gzip')
  expect(again.equals(NAR)).toBe(true)
})

test('a compression that is not known is refused with those that are', async () => {
  await using gateway = await testGateway()
  for (const ending of ['.nar.br', '.nar.bz2', '.nar.lzip', '.zip', '']) {
    const { status, text } = await put(gateway, `/nar/x${ending}`, NAR)
    expect({ ending, status }).toEqual({ ending, status: 400 })
    expect(text).toContain('none, xz, zstd, gzip')
  }
})

test('a narinfo that does not fit the NAR is refused', async () => {
  await using gateway = await testGateway()
  await putNar(gateway)
  const wrong: Record<string, string> = {
    'another NAR hash': narInfo({ narSha256: noise(32, 'other') }),
    'another size': narInfo({ narSize: NAR.length + 8 }),
    'another path': narInfo({ storePath: pathNamed('other') }),
    'no narinfo': 'hello',
    nothing: '',
    'no UTF-8': '\xff\xfe',
    'far too long': `${narInfo()}Sig: ${'x'.repeat(2 * 1024 * 1024)}\n`,
  }
  for (const [how, text] of Object.entries(wrong)) {
    const body = how === 'no UTF-8' ? Buffer.from(text, 'latin1') : text
    const { status } = await put(gateway, NAR_INFO_PATH, body)
    expect({ how, status }).toEqual({ how, status: 400 })
    expect(await isAbsent(gateway)).toBe(true)
  }
  expect((await put(gateway, '/nonsense.narinfo', narInfo())).status).toBe(404)
  expect((await put(gateway, NAR_INFO_PATH, narInfo())).status).toBe(204)
})

test('a file’s name can not make its NAR pass for another', async () => {
  await using gateway = await testGateway()
  await putNar(gateway)
  const trojan = narOf(file('horse'))
  expect(
    (await put(gateway, `/nar/${hashText(NAR)}.nar.xz`, await packed(trojan, 'xz'))).status,
  ).toBe(204)
  expect((await put(gateway, NAR_INFO_PATH, narInfo())).status).toBe(204)
  expect((await pulled(gateway)).nar.equals(NAR)).toBe(true)
})

test('a NAR may be put before a restart, and its narinfo after', async () => {
  await using state = await temporaryDirectory()
  const init = { storage: 'segments', directory: state.path } as const
  {
    await using before = await testGateway(init)
    expect((await putNar(before, 'zstd')).status).toBe(204)
  }
  await using after = await testGateway(init)
  expect((await put(after, NAR_INFO_PATH, narInfo())).status).toBe(204)
  expect((await pulled(after)).nar.equals(NAR)).toBe(true)
})

test('a client that expects 100 Continue is told to go on', async () => {
  await using gateway = await testGateway()
  let told = 0
  const answer = await rawHttp(gateway.port, `/nar/${hashText(NAR)}.nar`, {
    method: 'PUT',
    headers: { expect: '100-continue', 'content-length': NAR.length },
    body: NAR,
    onContinue: () => told++,
  })
  expect(answer.status).toBe(204)
  expect(told).toBe(1)
})

test('a client that leaves in the middle leaves nothing behind, and the gateway well', async () => {
  await using gateway = await testGateway()
  const abort = new AbortController()
  async function* half(): AsyncGenerator<Uint8Array> {
    yield NAR.subarray(0, NAR.length >> 1)
    abort.abort()
  }
  const sent = fetch(`${gateway.url}/nar/${hashText(NAR)}.nar`, {
    method: 'PUT',
    body: half(),
    duplex: 'half',
    signal: abort.signal,
  } as RequestInit)
  await expect(sent).rejects.toThrow()
  expect((await put(gateway, NAR_INFO_PATH, narInfo())).status).toBe(400)
  expect((await putNar(gateway)).status).toBe(204)
})

const outside = Object.values(networkInterfaces())
  .flat()
  .find((it) => it?.family === 'IPv4' && !it.internal)?.address

test.skipIf(outside === undefined)(
  'only clients on this machine may put anything in; others may read (needs a network)',
  async () => {
    await using gateway = await testGateway({ host: '0.0.0.0' })
    const { storePath } = await gateway.hold('small', SMALL)
    const fromOutside = { ...gateway, url: `http://${outside}:${gateway.port}` }
    expect((await putNar(fromOutside)).status).toBe(403)
    expect((await put(fromOutside, NAR_INFO_PATH, narInfo())).status).toBe(403)
    expect((await fetch(narInfoUrl(fromOutside, storePath))).status).toBe(200)
    const local = { ...gateway, url: `http://127.0.0.1:${gateway.port}` }
    expect((await putNar(local)).status).toBe(204)
  },
)

test.each(['/x.ls', '/log/some.drv', '/realisations/a.doi', '/nix-cache-info', '/nar/a/b'])(
  'PUT %s is a 404, and its body is not waited for',
  async (path) => {
    await using gateway = await testGateway()
    expect((await put(gateway, path, noise(100_000))).status).toBe(404)
  },
)
