import { printableBytes, utf8Text } from '../foundation/bytes.ts'
import { malformed } from './nix-error.ts'
import { STORE_DIRECTORY, StorePath } from './store-path.ts'

const SLASH = 0x2f
const PREFIX_LENGTH = `${STORE_DIRECTORY}/`.length

/** A store path, and a place in it. */
export interface PathInStore {
  readonly storePath: StorePath
  /** What comes behind the store path, its slash included; empty for the path itself. */
  readonly inside: Uint8Array
}

/**
 * Divides `/nix/store/<hash>-<name>/and/more`, whose end may be any bytes.
 * @throws NixError 'bad-store-path' where it does not begin with a store path
 */
export function parsePathInStore(path: Uint8Array): PathInStore {
  const slash = path.indexOf(SLASH, PREFIX_LENGTH)
  const end = slash < 0 ? path.length : slash
  const text = utf8Text(path.subarray(0, end))
  if (text === undefined) {
    const what = `a store path is written with ASCII letters: ${printableBytes(path)}`
    throw malformed('bad-store-path', what)
  }
  return { storePath: StorePath.parse(text), inside: path.subarray(end) }
}
