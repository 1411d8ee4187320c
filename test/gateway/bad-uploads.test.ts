import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeRoot } from '../../src/castore/model/directory-codec.ts'
import type { NarInfo } from '../../src/nix/nar-info.ts'
import { pathNamed } from '../fixtures/claims.ts'
import { call, collect, noise } from '../fixtures/content.ts'
import { directory, file, narOf, narString, narStrings, nested, SMALL } from '../nar/trees.ts'
import { rawHttp } from './raw-http.ts'
import { rawSocket } from './raw-socket.ts'
import { type ForgetfulRecordStore, type TestGateway, testGateway } from './test-gateway.ts'
import { NAR, NAR_INFO_PATH, narInfo, PATH, pulled, put, putNar } from './uploading.ts'

let gateway: TestGateway

beforeAll(async () => {
  gateway = await testGateway()
  await gateway.hold('held', SMALL)
  await putNar(gateway)
})
afterAll(async () => {
  // Whatever was refused has left the node as it was, and able to take in what is right.
  const held = await collect(gateway.pathInfos.list(call))
  expect(held.map(({ storePath }) => storePath.name)).toEqual(['held'])
  expect((await put(gateway, NAR_INFO_PATH, narInfo())).status).toBe(204)
  expect((await pulled(gateway)).nar.equals(NAR)).toBe(true)
  await gateway[Symbol.asyncDispose]()
})

const entry = (name: string | Uint8Array, node: Buffer): Buffer =>
  Buffer.concat([narStrings('entry', '(', 'name', name, 'node'), node, narString(')')])
const leaf = narStrings('(', 'type', 'regular', 'contents', 'x', ')')
const directoryOf = (...entries: Buffer[]): Buffer =>
  Buffer.concat([narStrings('nix-archive-1', '(', 'type', 'directory'), ...entries, narString(')')])
const linkTo = (target: string | Uint8Array): Buffer =>
  narStrings('nix-archive-1', '(', 'type', 'symlink', 'target', target, ')')
const edited = (bytes: Buffer, at: number, value: number): Buffer => {
  const copy = Buffer.from(bytes)
  copy[at] = value
  return copy
}
const plain = narOf(file('x'))

const BAD_NARS: [what: string, nar: Uint8Array, word: string][] = [
  ['nothing', Buffer.of(), 'byte 0'],
  ['a NAR without its last byte', NAR.subarray(0, -1), 'malformed NAR'],
  ['half a NAR', NAR.subarray(0, NAR.length >> 1), 'malformed NAR'],
  ['bytes after the end', Buffer.concat([NAR, Buffer.of(0)]), 'malformed NAR'],
  ['a second NAR after the first', Buffer.concat([NAR, NAR]), 'malformed NAR'],
  ['a web page', Buffer.from('<!doctype html><title>Not found</title>'), 'malformed NAR'],
  ['a wrong magic', edited(NAR, 12, 0x58), 'byte 12'],
  ['an unknown type', narStrings('nix-archive-1', '(', 'type', 'device', ')'), 'malformed NAR'],
  ['a node that has no type', narStrings('nix-archive-1', '(', ')'), 'malformed NAR'],
  ['padding that is not zero', edited(plain, plain.length - 17, 1), 'malformed NAR'],
  ['entries that are not sorted', directoryOf(entry('b', leaf), entry('a', leaf)), 'sort'],
  ['two entries of one name', directoryOf(entry('a', leaf), entry('a', leaf)), 'malformed NAR'],
  ['a name .', directoryOf(entry('.', leaf)), 'name'],
  ['a name ..', directoryOf(entry('..', leaf)), 'name'],
  ['an empty name', directoryOf(entry('', leaf)), 'name'],
  ['a name with a slash', directoryOf(entry('a/../../etc/passwd', leaf)), 'name'],
  ['a name with a NUL', directoryOf(entry('a\0b', leaf)), 'name'],
  ['a name of 256 bytes', directoryOf(entry('x'.repeat(256), leaf)), '255'],
  ['a tree of 65 levels', narOf(nested(65)), '64 levels'],
  ['an empty target', linkTo(''), 'target'],
  ['a target with a NUL', linkTo('a\0b'), 'target'],
  ['a target of 4,096 bytes', linkTo('x'.repeat(4096)), '4095'],
]

test('a NAR with a file of more bytes than there are numbers for is too large', async () => {
  const endless = Buffer.concat([plain.subarray(0, 88), Buffer.alloc(8, 0xff)])
  expect((await put(gateway, '/nar/bad.nar', endless)).status).toBe(413)
})

test.each(BAD_NARS)('a NAR that is %s is refused', async (what, nar, word) => {
  const { status, text } = await put(gateway, `/nar/bad.nar`, nar)
  expect({ what, status, text }).toEqual({ what, status: 400, text: expect.stringContaining(word) })
  expect(text).toContain('the NAR can not be taken in')
  expect((await rawHttp(gateway.port, '/nar/bad.nar')).status).toBe(404)
})

const root = (tree = SMALL): Promise<string> =>
  gateway.hold('held', tree).then(({ node }) => Buffer.from(encodeRoot(node)).toString('base64url'))

const BAD_FIELDS: [what: string, fields: Partial<NarInfo>, word: string][] = [
  ['another NarHash', { narSha256: noise(32, 'other') }, 'NarHash'],
  ['a larger NarSize', { narSize: NAR.length + 8 }, 'NarSize'],
  ['a smaller NarSize', { narSize: 1 }, 'NarSize'],
  ['another path', { storePath: pathNamed('other') }, 'another path'],
  ['another compression than the file’s', { compression: 'xz' }, 'compressed by none'],
  ['another FileSize', { fileSize: NAR.length - 1 }, 'FileSize'],
  ['another FileHash', { fileHash: { algorithm: 'sha256', bytes: noise(32) } }, 'FileHash'],
  ['a file that was not uploaded', { url: 'nar/absent.nar' }, 'PUT it before'],
  ['a URL elsewhere', { url: 'https://cache.example/nar/x.nar' }, 'relative to this cache'],
  ['a URL of another protocol', { url: '//cache.example/x.nar' }, 'relative to this cache'],
  ['a URL that climbs', { url: '../../etc/passwd' }, 'relative to this cache'],
  ['a URL that climbs below nar', { url: 'nar/../x.nar' }, 'relative to this cache'],
  ['a URL that climbs in disguise', { url: 'nar/..%2f..%2fx.nar' }, 'letters, digits'],
  ['a URL with a query', { url: 'nar/x.nar?x' }, 'relative to this cache'],
  ['a root that is none', { url: 'nar/snix-castore/AAAA' }, 'castore root'],
  ['a size that is none', { url: 'nar/snix-castore/AAAA?narsize=x' }, 'narsize'],
]

test.each(BAD_FIELDS)('a narinfo with %s is refused', async (what, fields, word) => {
  const { status, text } = await put(gateway, NAR_INFO_PATH, narInfo(fields))
  expect({ what, status, text }).toEqual({ what, status: 400, text: expect.stringContaining(word) })
})

test('a narinfo whose castore root is that of another NAR is refused', async () => {
  const url = `nar/snix-castore/${await root()}`
  const { status, text } = await put(gateway, NAR_INFO_PATH, narInfo({ url }))
  expect({ status, text }).toEqual({ status: 400, text: expect.stringContaining('NarHash') })
})

const line = (name: string, value?: string): string =>
  narInfo().replace(new RegExp(`^${name}: .*\n`, 'm'), value === undefined ? '' : `${value}\n`)

const BAD_TEXTS: [what: string, text: string | Buffer, status: number][] = [
  ['nothing', '', 400],
  ['no narinfo', 'hello', 400],
  ['no final newline', narInfo().slice(0, -1), 400],
  ['no StorePath', line('StorePath'), 400],
  ['no URL', line('URL'), 400],
  ['no NarHash', line('NarHash'), 400],
  ['no NarSize', line('NarSize'), 400],
  ['a NarSize of 0', line('NarSize', 'NarSize: 0'), 400],
  ['a NarSize that is none', line('NarSize', 'NarSize: -1'), 400],
  ['a NarHash that is too short', line('NarHash', 'NarHash: sha256:00'), 400],
  ['a NarHash of another kind', line('NarHash', `NarHash: md5:${'0'.repeat(32)}`), 400],
  [
    'a NarHash with letters that are none',
    line('NarHash', `NarHash: sha256:${'e'.repeat(52)}`),
    400,
  ],
  ['a StorePath elsewhere', line('StorePath', `StorePath: /etc/${PATH.baseName}`), 400],
  ['a StorePath that climbs', line('StorePath', `StorePath: /nix/store/../${PATH.baseName}`), 400],
  ['a reference that is none', line('References', 'References: ../x'), 400],
  ['a CA that is none', `${narInfo()}CA: nonsense\n`, 400],
  ['References twice', `${narInfo()}References: ${PATH.baseName}\n`, 400],
  ['no UTF-8', Buffer.from(`${narInfo()}X: \xff\xfe\n`, 'latin1'), 400],
  ['far too much', `${narInfo()}Sig: ${'x'.repeat(2 * 1024 * 1024)}\n`, 413],
]

test.each(BAD_TEXTS)('a narinfo with %s is refused', async (what, text, status) => {
  const answer = await put(gateway, NAR_INFO_PATH, text)
  expect({ what, ...answer }).toMatchObject({ what, status })
  expect(answer.text.length).toBeGreaterThan(10)
})

test.each([
  ['/nar/..%2f..%2fetc%2fpasswd.nar', 400],
  ['/nar/%2e%2e.nar', 400],
  ['/nar/.hidden.nar', 400],
  ['/nar/a%00b.nar', 400],
  ['/nar/a%0ab.nar', 400],
  ['/nar/a%5cb.nar', 400],
  [`/nar/${'x'.repeat(200)}.nar`, 400],
  ['/nar/x.nar.lzip', 400],
  ['/nar/x.zip', 400],
  ['/nar/%zz.nar', 400],
  ['/nar/../nar/x.nar', 404],
  ['/nar/x/y.nar', 404],
  ['/nonsense.narinfo', 404],
  [`/..%2f${'0'.repeat(32)}.narinfo`, 404],
])('PUT %s is refused by its name', async (path, status) => {
  const answer = await put(gateway, path, NAR)
  expect({ path, ...answer }).toMatchObject({ path, status })
})

test('a NAR with a Content-Encoding is refused', async () => {
  const headers = { 'content-encoding': 'gzip' }
  expect((await put(gateway, '/nar/x.nar', NAR, { headers })).status).toBe(400)
})

describe('requests that are none', () => {
  test.each([
    ['no HTTP', 'HELLO\r\n\r\n', '400'],
    ['an unknown method', 'FROBNICATE / HTTP/1.1\r\nHost: x\r\n\r\n', '400'],
    ['huge headers', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(100_000)}\r\n\r\n`, '431'],
    [
      'two lengths',
      'PUT /nar/x.nar HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      '400',
    ],
    [
      'a length that is none',
      'PUT /nar/x.nar HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n',
      '400',
    ],
    [
      'a length and chunks',
      'PUT /nar/x.nar HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      '400',
    ],
    [
      'chunks that are none',
      'PUT /nar/x.nar HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n',
      '400',
    ],
  ])('%s', async (_, text, status) => {
    using client = await rawSocket(gateway.port)
    client.write(text)
    expect(await client.until(/\r\n\r\n/)).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
  })

  test.each(['bytes=5-2', 'bytes=x', 'bytes=--1', 'bytes', 'lines=1-2', 'bytes=1-2;3'])(
    'the range %s is passed over',
    async (range) => {
      const path = `/nar/snix-castore/${await root()}`
      const answer = await rawHttp(gateway.port, path, { headers: { range } })
      expect(answer.status).toBe(200)
      expect(answer.body.equals(narOf(SMALL))).toBe(true)
    },
  )
})

test.each(['ENOSPC', 'EDQUOT'])('a disk that is full (%s) is told as such', async (code) => {
  const records = gateway.records as ForgetfulRecordStore
  const full = Object.assign(new Error(`${code}: no space left on device, write`), { code })
  records.failure = new Error('the segment could not be written', { cause: full })
  try {
    const nar = narOf(directory({ new: file(noise(1000, code)) }))
    const uploads = [
      await put(gateway, '/nar/full.nar', nar),
      await put(gateway, NAR_INFO_PATH, narInfo()),
      await put(gateway, `/log/${'0'.repeat(32)}-x.drv`, 'log'),
    ]
    for (const { status, text } of uploads) {
      expect({ status, text }).toEqual({ status: 507, text: expect.stringContaining('disk') })
    }
    expect((await rawHttp(gateway.port, '/nix-cache-info')).status).toBe(200)
  } finally {
    records.failure = undefined
  }
  expect((await rawHttp(gateway.port, '/nar/full.nar')).status).toBe(404)
})
