import { TokenHash } from '../../../src/foundation/access-token.ts'
import { utf8Text } from '../../../src/foundation/bytes.ts'
import { parseListenAddress, renderListenAddress } from '../../../src/foundation/listen-address.ts'
import { parseCacheInfo, renderCacheInfo } from '../../../src/nix/cache-info.ts'
import { PublicKey, SecretKey } from '../../../src/nix/key.ts'
import { type NarInfo, parseNarInfo, renderNarInfo } from '../../../src/nix/nar-info.ts'
import { NixError } from '../../../src/nix/nix-error.ts'
import { parseNixHash, renderNixHash } from '../../../src/nix/nix-hash.ts'
import { parseSignature, renderSignature } from '../../../src/nix/signature.ts'
import { StorePath } from '../../../src/nix/store-path.ts'
import { KEYS, pathNamed } from '../../fixtures/claims.ts'
import { noise } from '../../fixtures/content.ts'
import { type FuzzTarget, holds } from '../fuzz-target.ts'

const isNixError = (error: unknown): boolean => error instanceof NixError

const SIGNATURE = renderSignature(KEYS.a.sign(Buffer.from('message')))

const info: NarInfo = {
  storePath: pathNamed('hello-2.12'),
  url: 'nar/0123.nar.xz',
  compression: 'xz',
  fileSize: 1234,
  narSha256: noise(32, 'nar'),
  narSize: 120,
  references: ['hello-2.12', 'glibc-2.40'].map(pathNamed),
  deriver: StorePath.of(noise(20, 'drv'), 'hello-2.12.drv'),
  signatures: [parseSignature(SIGNATURE)],
  ca: undefined,
}

/** A target for a text format: its reader, its writer, and valid texts. */
function text<T>(
  name: string,
  seeds: readonly string[],
  parse: (text: string) => T,
  render: (value: T) => string,
  dictionary: readonly string[] = [],
): FuzzTarget {
  return {
    name,
    seeds: seeds.map((it) => Buffer.from(it)),
    dictionary: [
      '\n',
      ':',
      ' ',
      '\r\n',
      '\0',
      '-',
      '/',
      '=',
      '99999999999999999999',
      ...dictionary,
    ],
    isRefusal: isNixError,
    check: (input) => {
      const given = utf8Text(input)
      if (given === undefined) return
      const rendered = render(parse(given))
      holds(render(parse(rendered)) === rendered, 'what is accepted reads back')
    },
  }
}

/** For readers that answer undefined instead of throwing. */
function known<T>(value: T | undefined): T {
  if (value !== undefined) return value
  throw new NixError({ code: 'bad-key', what: 'refused' }, 'refused')
}

export const NIX_TARGETS: readonly FuzzTarget[] = [
  text(
    'narinfo',
    [renderNarInfo(info), renderNarInfo({ ...info, deriver: undefined, references: [] })],
    parseNarInfo,
    renderNarInfo,
    ['StorePath: ', 'NarSize: ', 'NarHash: sha256:', 'References: ', 'Sig: ', 'CA: ', 'Deriver: '],
  ),
  text(
    'cache-info',
    [renderCacheInfo({ storeDirectory: '/nix/store', wantMassQuery: true, priority: 30 })],
    parseCacheInfo,
    renderCacheInfo,
    ['StoreDir: ', 'Priority: '],
  ),
  text('public-key', [KEYS.a.publicKey().toString()], PublicKey.parse, String),
  text('secret-key', [KEYS.a.toString()], SecretKey.parse, String),
  text('signature', [SIGNATURE], parseSignature, renderSignature),
  text('store-path', [pathNamed('hello').toString()], StorePath.parse, String, ['/nix/store/']),
  text(
    'nix-hash',
    [renderNixHash({ algorithm: 'sha256', bytes: noise(32) }), `sha256:${'0f'.repeat(32)}`],
    parseNixHash,
    renderNixHash,
    ['sha256:', 'sha1:', 'sha512:', 'md5:', 'sha256-'],
  ),
  text(
    'token-hash',
    [TokenHash.of('ci', 'token').toString()],
    (it) => known(TokenHash.parse(it)),
    String,
    ['sha256'],
  ),
  text(
    'listen-address',
    ['127.0.0.1:9000', '[::1]:8000', 'unix:/run/cairn.sock', 'systemd:gateway'],
    (it) => known(parseListenAddress(it)),
    renderListenAddress,
    ['unix:', 'systemd', '[', ']'],
  ),
]
