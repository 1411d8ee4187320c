import { createHash } from 'node:crypto'
import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import type { Compression } from '../../src/nar/compression.ts'
import { type NarInfo, parseNarInfo, renderNarInfo } from '../../src/nix/nar-info.ts'
import { encodeNixBase32 } from '../../src/nix/nix-base32.ts'
import type { StorePath } from '../../src/nix/store-path.ts'
import { pathNamed } from '../fixtures/claims.ts'
import { noise } from '../fixtures/content.ts'
import { packed } from '../nar/packed.ts'
import { directory, file, narOf, SMALL } from '../nar/trees.ts'
import { narInfoUrl, type TestGateway } from './test-gateway.ts'

/** The NAR that uploads are tried with, of a megabyte. */
export const NAR = narOf(directory({ large: file(noise(1_200_000, 'upload')), small: SMALL }))

/** What Nix 2.8 puts at the end of the names of files, but for gzip, where it puts nothing. */
export const ENDINGS: Readonly<Record<Compression, string>> = {
  none: '.nar',
  xz: '.nar.xz',
  zstd: '.nar.zst',
  bzip2: '.nar.bz2',
  gzip: '.nar.gz',
  br: '.nar.br',
}

/** What came of an upload. */
export interface Put {
  readonly status: number
  readonly text: string
  readonly headers: IncomingHttpHeaders
}

/** Puts something in, with the path as it is. */
export async function put(
  { port }: Pick<TestGateway, 'port'>,
  path: string,
  body: Uint8Array | string,
  init: { readonly headers?: Record<string, string>; readonly host?: string } = {},
): Promise<Put> {
  const { promise, resolve, reject } = Promise.withResolvers<Put>()
  const bytes = Buffer.from(body)
  const headers = { 'content-length': bytes.length, ...init.headers }
  const { host = '127.0.0.1' } = init
  const asked = request(
    { host, port, path, method: 'PUT', headers, agent: new Agent() },
    (answer) => {
      const parts: Buffer[] = []
      answer.on('data', (part: Buffer) => parts.push(part))
      answer.on('end', () => {
        const text = Buffer.concat(parts).toString()
        resolve({ status: answer.statusCode!, text, headers: answer.headers })
      })
    },
  )
  asked.on('error', reject).end(bytes)
  return await promise
}

/** A NAR that was uploaded, and what a narinfo says of its file. */
export interface Uploaded extends Put {
  /** Relative to the cache, as narinfos have it. */
  readonly url: string
  readonly file: Pick<NarInfo, 'url' | 'compression' | 'fileHash' | 'fileSize'>
}

/** Uploads a NAR under the name that Nix would give its file. */
export async function putNar(
  gateway: Pick<TestGateway, 'port'>,
  compression: Compression = 'none',
  init: {
    readonly nar?: Uint8Array
    readonly headers?: Record<string, string>
    readonly host?: string
  } = {},
): Promise<Uploaded> {
  const body = await packed(init.nar ?? NAR, compression)
  const url = `nar/${hashText(body)}${ENDINGS[compression]}`
  const file = {
    url,
    compression,
    fileHash: { algorithm: 'sha256', bytes: sha256(body) } as const,
    fileSize: body.length,
  }
  return { url, file, ...(await put(gateway, `/${url}`, body, init)) }
}

/** The SHA-256 of bytes in nix32. */
export function hashText(bytes: Uint8Array): string {
  return encodeNixBase32(createHash('sha256').update(bytes).digest())
}

/** The SHA-256 of bytes. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest()
}

/** The path that the narinfo is about. */
export const PATH = pathNamed('uploaded')

/** Where its narinfo is. */
export const NAR_INFO_PATH = `/${PATH.hashText}.narinfo`

/** A narinfo for {@link NAR}, as plain file unless told otherwise. */
export function narInfo(fields: Partial<NarInfo> = {}): string {
  return renderNarInfo({
    storePath: PATH,
    url: `nar/${hashText(NAR)}.nar`,
    compression: 'none',
    narSha256: createHash('sha256').update(NAR).digest(),
    narSize: NAR.length,
    references: [pathNamed('glibc'), PATH],
    deriver: pathNamed('uploaded.drv'),
    signatures: [{ name: 'stranger-1', data: noise(64, 'signature') }],
    ca: undefined,
    ...fields,
  })
}

/** What the gateway says of an uploaded path, and its NAR. */
export async function pulled(
  gateway: TestGateway,
  storePath: StorePath = PATH,
): Promise<{ info: NarInfo; nar: Buffer }> {
  const response = await fetch(narInfoUrl(gateway, storePath))
  const info = parseNarInfo(await response.text())
  const nar = await fetch(`${gateway.url}/${info.url}`)
  return { info, nar: Buffer.from(await nar.arrayBuffer()) }
}

/** Whether the gateway does not know of the path. */
export async function isAbsent(
  gateway: TestGateway,
  storePath: StorePath = PATH,
): Promise<boolean> {
  return (await fetch(narInfoUrl(gateway, storePath))).status === 404
}
