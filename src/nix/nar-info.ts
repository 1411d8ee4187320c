import { malformed, NixError, shown } from './nix-error.ts'
import { type NixHash, parseNixHash, renderNixHash } from './nix-hash.ts'
import { parseSignature, renderSignature, type Signature } from './signature.ts'
import { compareStorePaths, StorePath } from './store-path.ts'

/**
 * Characters of the longest narinfo that is read: room for ten thousand references, where real
 * ones have hundreds.
 */
export const NAR_INFO_LENGTH_MAX = 1024 * 1024

/** What Nix means by a narinfo that does not name its compression. */
const COMPRESSION_UNNAMED = 'bzip2'

/** What some caches write where they do not know which derivation made a path. */
const DERIVER_UNKNOWN = 'unknown-deriver'

/** What a binary cache says of one store path. */
export interface NarInfo {
  readonly storePath: StorePath
  /** Where the NAR is: relative to the cache's root, opaque, perhaps with a query. */
  readonly url: string
  /** How the file at `url` is compressed, 'none' where it is the NAR itself. */
  readonly compression: string
  /** Hash of the file at `url`, as it is compressed. */
  readonly fileHash?: NixHash | undefined
  /** Length of the file at `url`, in bytes. */
  readonly fileSize?: number | undefined
  /** SHA-256 of the NAR, 32 bytes. */
  readonly narSha256: Uint8Array
  /** Length of the NAR, in bytes; at least 1. */
  readonly narSize: number
  /** What the content refers to, perhaps the path itself. */
  readonly references: readonly StorePath[]
  /** The derivation (`….drv`) that it was built from. */
  readonly deriver?: StorePath | undefined
  readonly signatures: readonly Signature[]
  /** Content address, as Nix spells it. */
  readonly ca?: string | undefined
}

/** What has been read so far; the fields that a narinfo must have may be missing. */
type Draft = { -readonly [K in Exclude<keyof NarInfo, 'signatures'>]?: NarInfo[K] } & {
  /** By their texts, each of which is the only one of its signature. */
  readonly signatures: Map<string, Signature>
}

/** The narinfo's text in Nix's order of fields, with its final newline. @throws NixError */
export function renderNarInfo(info: NarInfo): string {
  const { fileHash, fileSize, deriver, ca } = info
  const references = sortedOnce(info.references).map((it) => it.baseName)
  const fields: [string, string][] = [
    ['StorePath', info.storePath.toString()],
    ['URL', info.url],
    ['Compression', info.compression],
  ]
  if (fileHash !== undefined) fields.push(['FileHash', renderNixHash(fileHash)])
  if (fileSize !== undefined) fields.push(['FileSize', `${fileSize}`])
  fields.push(['NarHash', renderNixHash({ algorithm: 'sha256', bytes: info.narSha256 })])
  fields.push(['NarSize', `${info.narSize}`])
  fields.push(['References', references.join(' ')])
  if (deriver !== undefined) fields.push(['Deriver', deriver.baseName])
  for (const signature of info.signatures) fields.push(['Sig', renderSignature(signature)])
  if (ca !== undefined) fields.push(['CA', ca])
  for (const [name, value] of fields) checkValue(name, value)
  return fields.map(([name, value]) => `${name}: ${value}\n`).join('')
}

/**
 * Reads a narinfo as Nix does: of a field given twice the last one counts, but References and CA
 * are given once; unknown fields are passed over. Beyond Nix it passes over signatures that it can
 * not read, since a foreign one makes the others no worse. References come sorted, each once.
 * @throws NixError 'bad-nar-info'
 */
export function parseNarInfo(text: string): NarInfo {
  if (text.length > NAR_INFO_LENGTH_MAX) {
    const what = `a narinfo has at most ${NAR_INFO_LENGTH_MAX} characters, not ${text.length}`
    throw malformed('bad-nar-info', what)
  }
  if (!text.endsWith('\n')) {
    throw malformed('bad-nar-info', 'a narinfo ends with a newline; this one may be cut off')
  }
  const draft: Draft = { signatures: new Map() }
  for (const [i, line] of text.slice(0, -1).split('\n').entries()) {
    try {
      readLine(draft, line)
    } catch (cause) {
      if (!(cause instanceof NixError)) throw cause
      throw malformed('bad-nar-info', `line ${i + 1} of the narinfo: ${cause.message}`, cause)
    }
  }
  return finished(draft)
}

function readLine(draft: Draft, line: string): void {
  const colon = line.indexOf(':')
  if (colon < 0) throw malformed('bad-nar-info', `a line is "Name: value", not ${shown(line)}`)
  const skipped = line[colon + 1] === ' ' ? 2 : 1
  readField(draft, line.slice(0, colon), line.slice(colon + skipped))
}

function readField(draft: Draft, name: string, value: string): void {
  switch (name) {
    case 'StorePath':
      draft.storePath = StorePath.parse(value)
      break
    case 'URL':
      draft.url = value
      break
    case 'Compression':
      draft.compression = value
      break
    case 'FileHash':
      draft.fileHash = parseNixHash(value)
      break
    case 'FileSize':
      draft.fileSize = parseSize(name, value)
      break
    case 'NarHash':
      draft.narSha256 = parseNarHash(value)
      break
    case 'NarSize':
      draft.narSize = parseSize(name, value)
      break
    case 'References':
      if ((draft.references?.length ?? 0) > 0) throw givenTwice(name)
      draft.references = sortedOnce(value.split(' ').filter(Boolean).map(StorePath.parseBaseName))
      break
    case 'Deriver':
      if (value !== DERIVER_UNKNOWN) draft.deriver = StorePath.parseBaseName(value)
      break
    case 'Sig':
      addSignature(draft.signatures, value)
      break
    case 'CA':
      if (draft.ca !== undefined) throw givenTwice(name)
      if (value !== '') draft.ca = value
      break
  }
}

function finished(draft: Draft): NarInfo {
  const { storePath, url, narSha256, narSize, fileSize } = draft
  if (storePath === undefined) throw missing('StorePath')
  if (url === undefined || url === '') throw missing('URL')
  if (narSha256 === undefined) throw missing('NarHash')
  if (narSize === undefined || narSize === 0) throw missing('NarSize')
  return {
    ...draft,
    storePath,
    url,
    compression: draft.compression || COMPRESSION_UNNAMED,
    fileSize: fileSize === 0 ? undefined : fileSize, // Nix writes 0 for a size not known
    narSha256,
    narSize,
    references: draft.references ?? [],
    signatures: [...draft.signatures.values()],
  }
}

function parseNarHash(value: string): Uint8Array {
  const hash = parseNixHash(value)
  if (hash.algorithm !== 'sha256') {
    throw malformed('bad-nar-info', `NarHash is a sha256, not ${shown(value)}`)
  }
  return hash.bytes
}

function parseSize(name: string, value: string): number {
  const size = /^[0-9]{1,16}$/.test(value) ? Number(value) : Number.NaN
  if (!Number.isSafeInteger(size)) {
    throw malformed('bad-nar-info', `${name} is a number of bytes, not ${shown(value)}`)
  }
  return size
}

function addSignature(signatures: Map<string, Signature>, value: string): void {
  try {
    signatures.set(value, parseSignature(value))
  } catch (error) {
    if (!(error instanceof NixError)) throw error
  }
}

function sortedOnce(paths: readonly StorePath[]): StorePath[] {
  const sorted = [...paths].sort(compareStorePaths)
  return sorted.filter((path, i) => i === 0 || compareStorePaths(sorted[i - 1]!, path) !== 0)
}

function checkValue(name: string, value: string): void {
  // A line break in a value would let whoever chose it write fields of their own.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
  if (!/[\u0000-\u001f\u007f]/.test(value)) return
  throw malformed('bad-nar-info', `${name} in a narinfo holds no control characters`)
}

function missing(name: string): NixError {
  return malformed('bad-nar-info', `a narinfo must have a ${name}, neither empty nor zero`)
}

function givenTwice(name: string): NixError {
  return malformed('bad-nar-info', `a narinfo has ${name} once`)
}
