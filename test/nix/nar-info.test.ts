import { expect, test } from 'vitest'
import { nixFingerprint } from '../../src/nix/fingerprint.ts'
import { PublicKey } from '../../src/nix/key.ts'
import {
  NAR_INFO_LENGTH_MAX,
  type NarInfo,
  parseNarInfo,
  renderNarInfo,
} from '../../src/nix/nar-info.ts'
import { StorePath } from '../../src/nix/store-path.ts'
import { expectNixError } from './expect-nix-error.ts'
import { CACHE_KEY, realNarInfos, vectorsMissing } from './vectors.ts'

const A = '0a3yijp35sygmy51cnrrz11vimwapz7c'
const B = '0sv396xrvakvy86bdv1x5fapbyh33s38'
const NIX32 = '06li2smqgskxxr291x1cgzf61rzm7c8f93bisnglq0nzm1wj5mgb'
const HEX = 'ebd52279a8df024c9fd5718de4103bf5e760dc7f2cf49044ee7dea87ab16911a'
const SIG = `k-1:${Buffer.alloc(64, 7).toString('base64')}`

const FULL = [
  `StorePath: /nix/store/${A}-a`,
  `URL: nar/${NIX32}.nar?x=1:2`,
  'Compression: none',
  `FileHash: sha256:${NIX32}`,
  'FileSize: 840',
  `NarHash: sha256:${NIX32}`,
  'NarSize: 840',
  `References: ${A}-a ${B}-b`,
  `Deriver: ${B}-a.drv`,
  `Sig: ${SIG}`,
  `Sig: ${SIG.replace('k-1', 'k-2')}`,
  `CA: fixed:r:sha256:${NIX32}`,
  '',
].join('\n')

const MINIMAL = [
  `StorePath: /nix/store/${A}-a`,
  'URL: a.nar',
  `NarHash: sha256:${HEX}`,
  'NarSize: 840',
  '',
].join('\n')

/** The narinfo with one line replaced, or taken out. */
function altered(field: string, line?: string): string {
  const lines = FULL.split('\n').filter((it) => line !== undefined || !it.startsWith(field))
  return lines.map((it) => (it.startsWith(`${field}:`) ? (line ?? it) : it)).join('\n')
}

test('every field is read, and the text comes back', () => {
  const info = parseNarInfo(FULL)
  expect(info.storePath.toString()).toBe(`/nix/store/${A}-a`)
  expect(info.url).toBe(`nar/${NIX32}.nar?x=1:2`)
  expect(info.compression).toBe('none')
  expect(info.fileHash?.algorithm).toBe('sha256')
  expect(info.fileSize).toBe(840)
  expect(Buffer.from(info.narSha256).toString('hex')).toBe(HEX)
  expect(info.narSize).toBe(840)
  expect(info.references.map((it) => it.baseName)).toEqual([`${A}-a`, `${B}-b`])
  expect(info.deriver?.name).toBe('a.drv')
  expect(info.signatures.map((it) => it.name)).toEqual(['k-1', 'k-2'])
  expect(info.ca).toBe(`fixed:r:sha256:${NIX32}`)
  expect(renderNarInfo(info)).toBe(FULL)
})

test('the least narinfo: hex, no References, no Compression', () => {
  const info = parseNarInfo(MINIMAL)
  expect(info.compression).toBe('bzip2')
  expect(info.references).toEqual([])
  expect(info.signatures).toEqual([])
  expect(info.fileHash).toBeUndefined()
  expect(info.fileSize).toBeUndefined()
  expect(info.deriver).toBeUndefined()
  expect(info.ca).toBeUndefined()
  expect(renderNarInfo(info)).toBe(
    `StorePath: /nix/store/${A}-a\nURL: a.nar\nCompression: bzip2\n` +
      `NarHash: sha256:${NIX32}\nNarSize: 840\nReferences: \n`,
  )
})

test('what other caches write is tolerated', () => {
  const read = (text: string): NarInfo => parseNarInfo(text)
  expect(read(altered('Deriver', 'Deriver: unknown-deriver')).deriver).toBeUndefined()
  expect(read(altered('FileSize', 'FileSize: 0')).fileSize).toBeUndefined()
  expect(read(altered('Compression', 'Compression: ')).compression).toBe('bzip2')
  expect(read(altered('CA', 'CA: ')).ca).toBeUndefined()
  expect(read(altered('References', 'References: ')).references).toEqual([])
  expect(read(altered('References', 'References:')).references).toEqual([])
  expect(read(`${FULL}Provenance: {"a": "b"}\nX: \n`).url).toBe(`nar/${NIX32}.nar?x=1:2`)
  expect(read(altered('URL', 'URL: https://x.test/a')).url).toBe('https://x.test/a')
  const jumbled = read(altered('References', `References:  ${B}-b  ${A}-a ${B}-b `)).references
  expect(jumbled.map((it) => it.baseName)).toEqual([`${A}-a`, `${B}-b`])
})

test('a signature that can not be read is passed over, a repeated one counts once', () => {
  const text = altered('CA', `Sig: new-2:short\nSig: \nSig: ${SIG}`)
  expect(parseNarInfo(text).signatures.map((it) => it.name)).toEqual(['k-1', 'k-2'])
})

test('of a field given twice the last one counts', () => {
  const info = parseNarInfo(`${FULL}NarSize: 5\nURL: other\nStorePath: /nix/store/${B}-b\n`)
  expect(info.narSize).toBe(5)
  expect(info.url).toBe('other')
  expect(info.storePath.name).toBe('b')
})

test.each([
  ['nothing', ''],
  ['an empty line', '\n'],
  ['no newline at the end', FULL.slice(0, -1)],
  ['a line without a colon', `${FULL}what\n`],
  ['an HTML page', '<html>\n<body>404</body>\n'],
  ['no StorePath', altered('StorePath')],
  ['no URL', altered('URL')],
  ['an empty URL', altered('URL', 'URL: ')],
  ['no NarHash', altered('NarHash')],
  ['a NarHash of another kind', altered('NarHash', `NarHash: sha1:${'0'.repeat(40)}`)],
  ['a short NarHash', altered('NarHash', `NarHash: sha256:${NIX32.slice(1)}`)],
  ['no NarSize', altered('NarSize')],
  ['a NarSize of zero', altered('NarSize', 'NarSize: 0')],
  ['a negative NarSize', altered('NarSize', 'NarSize: -1')],
  ['a NarSize with a fraction', altered('NarSize', 'NarSize: 1.5')],
  ['a NarSize beyond 2^53', altered('NarSize', 'NarSize: 9007199254740992')],
  ['an empty NarSize', altered('NarSize', 'NarSize: ')],
  ['a FileSize in words', altered('FileSize', 'FileSize: many')],
  ['a bad FileHash', altered('FileHash', 'FileHash: sha256:x')],
  ['a StorePath elsewhere', altered('StorePath', `StorePath: /gnu/store/${A}-a`)],
  ['a reference with its directory', altered('References', `References: /nix/store/${A}-a`)],
  ['a bad reference', altered('References', 'References: x')],
  ['References twice', `${FULL}References: ${A}-a\n`],
  ['CA twice', `${FULL}CA: x\n`],
  ['a bad Deriver', altered('Deriver', 'Deriver: x.drv')],
  ['Windows line ends', FULL.replaceAll('\n', '\r\n')],
  ['too long', `${FULL}X: ${'x'.repeat(NAR_INFO_LENGTH_MAX)}\n`],
])('refused: %s', (_, text) => {
  expectNixError('bad-nar-info', () => parseNarInfo(text))
})

test('an error names the line and what would be right', () => {
  const text = altered('NarSize', 'NarSize: many')
  const { message } = expectNixError('bad-nar-info', () => parseNarInfo(text))
  expect(message).toBe('line 7 of the narinfo: NarSize is a number of bytes, not "many"')
})

test('no value smuggles a line of its own into a narinfo', () => {
  const info = parseNarInfo(FULL)
  const forged = 'x\nNarSize: 1'
  expectNixError('bad-nar-info', () => renderNarInfo({ ...info, url: forged }))
  expectNixError('bad-nar-info', () => renderNarInfo({ ...info, ca: forged }))
  expectNixError('bad-nar-info', () => renderNarInfo({ ...info, compression: forged }))
  const signatures = [{ ...info.signatures[0]!, name: forged }]
  expectNixError('bad-nar-info', () => renderNarInfo({ ...info, signatures }))
})

test('the fingerprint is what Nix signs, references sorted and each once', () => {
  const info = parseNarInfo(FULL)
  const [a, b] = info.references as [StorePath, StorePath]
  const references = [b, a, b]
  expect(new TextDecoder().decode(nixFingerprint({ ...info, references }))).toBe(
    `1;/nix/store/${A}-a;sha256:${NIX32};840;/nix/store/${A}-a,/nix/store/${B}-b`,
  )
  expect(new TextDecoder().decode(nixFingerprint({ ...info, references: [] }))).toBe(
    `1;/nix/store/${A}-a;sha256:${NIX32};840;`,
  )
})

test.skipIf(vectorsMissing)(`real narinfos come back and verify ${vectorsMissing ?? ''}`, () => {
  const key = PublicKey.parse(CACHE_KEY)
  const texts = realNarInfos()
  expect(texts.length).toBe(98)
  for (const text of texts) {
    const info = parseNarInfo(text)
    expect(renderNarInfo(info)).toBe(text)
    expect(info.signatures.map((it) => key.verify(nixFingerprint(info), it))).toEqual([true])
  }
})

test.skipIf(vectorsMissing)(`a real narinfo with one bit flipped ${vectorsMissing ?? ''}`, () => {
  const key = PublicKey.parse(CACHE_KEY)
  const verifies = (info: NarInfo): boolean => key.verify(nixFingerprint(info), info.signatures[0]!)
  for (const text of realNarInfos()) {
    const info = parseNarInfo(text)
    const [signature] = info.signatures
    const data = flipped(signature!.data)
    expect(verifies({ ...info, signatures: [{ ...signature!, data }] })).toBe(false)
    expect(verifies({ ...info, narSha256: flipped(info.narSha256) })).toBe(false)
    expect(verifies({ ...info, narSize: info.narSize + 1 })).toBe(false)
    expect(verifies({ ...info, storePath: flippedPath(info.storePath) })).toBe(false)
    const [first, ...rest] = info.references
    if (first === undefined) continue
    expect(verifies({ ...info, references: [flippedPath(first), ...rest] })).toBe(false)
    expect(verifies({ ...info, references: rest })).toBe(false)
  }
})

function flipped(bytes: Uint8Array): Uint8Array {
  const result = Uint8Array.from(bytes)
  result[bytes.length >> 1]! ^= 0x10
  return result
}

function flippedPath(path: StorePath): StorePath {
  return StorePath.of(flipped(path.hash), path.name)
}
