import type { NARInfo_CA } from '../generated/tvix/store/v1/pathinfo.ts'
import { NARInfo_CA_Hash } from '../generated/tvix/store/v1/pathinfo.ts'
import { type NixHashAlgorithm, parseNixHash, renderNixHash } from '../nix/nix-hash.ts'
import { PathInfoError } from './path-info-error.ts'

const METHODS = new Map<string, NARInfo_CA_Hash>([
  ['fixed:r:sha256', NARInfo_CA_Hash.NAR_SHA256],
  ['fixed:r:sha1', NARInfo_CA_Hash.NAR_SHA1],
  ['fixed:r:sha512', NARInfo_CA_Hash.NAR_SHA512],
  ['fixed:r:md5', NARInfo_CA_Hash.NAR_MD5],
  ['text:sha256', NARInfo_CA_Hash.TEXT_SHA256],
  ['fixed:sha1', NARInfo_CA_Hash.FLAT_SHA1],
  ['fixed:md5', NARInfo_CA_Hash.FLAT_MD5],
  ['fixed:sha256', NARInfo_CA_Hash.FLAT_SHA256],
  ['fixed:sha512', NARInfo_CA_Hash.FLAT_SHA512],
])

/** The CA message of Nix's notation, `fixed:r:sha256:<hash>` and its kin. @throws PathInfoError */
export function toWireCa(ca: string): NARInfo_CA {
  const [, method, hash] = /^(text|fixed(?::r)?):(\w+:[^:]+)$/.exec(ca) ?? []
  if (method === undefined || hash === undefined) throw bad(ca)
  const { algorithm, bytes } = parseNixHash(hash)
  const type = METHODS.get(`${method}:${algorithm}`)
  if (type === undefined) throw bad(ca)
  return { type, digest: bytes }
}

/** Nix's notation of a CA message. @throws PathInfoError */
export function fromWireCa(message: NARInfo_CA): string {
  for (const [method, type] of METHODS) {
    if (type !== message.type) continue
    const algorithm = method.slice(method.lastIndexOf(':') + 1) as NixHashAlgorithm
    const hash = renderNixHash({ algorithm, bytes: message.digest })
    return `${method.slice(0, method.lastIndexOf(':'))}:${hash}`
  }
  throw bad(`type ${message.type}`)
}

function bad(ca: string): PathInfoError {
  const what = `no content address that Nix knows: ${ca}`
  return new PathInfoError({ code: 'bad-path-info', what }, what)
}
