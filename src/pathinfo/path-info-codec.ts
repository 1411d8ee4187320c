import { fromWireNode, toWireNode } from '../castore/model/directory-codec.ts'
import { utf8Bytes, utf8Text } from '../foundation/bytes.ts'
import * as record from '../generated/cairn/store/v1/record.ts'
import type * as wire from '../generated/tvix/store/v1/pathinfo.ts'
import type { Signature } from '../nix/signature.ts'
import { StorePath } from '../nix/store-path.ts'
import { fromWireCa, toWireCa } from './content-address-codec.ts'
import { PathInfo } from './path-info.ts'
import { PathInfoError } from './path-info-error.ts'

/** The stored and exchanged form of a PathInfo, `cairn.store.v1.SignedPathInfo`. */
export function encodePathInfo(pathInfo: PathInfo): Uint8Array {
  return record.SignedPathInfo.encode(toWireSigned(pathInfo)).finish()
}

/** Reads the stored form. @throws PathInfoError */
export function decodePathInfo(encoded: Uint8Array): PathInfo {
  return translated(() => fromWireSigned(record.SignedPathInfo.decode(encoded)))
}

/** The message's fields for a PathInfo. */
export function toWireSigned(pathInfo: PathInfo): record.SignedPathInfo {
  return {
    pathInfo: toWirePathInfo(pathInfo),
    rootSignatures: pathInfo.rootSignatures.map(toWireSignature),
  }
}

/** The PathInfo of a message's fields. @throws PathInfoError */
export function fromWireSigned(message: record.SignedPathInfo): PathInfo {
  return translated(() => {
    if (message.pathInfo === undefined) throw bad('a signed PathInfo holds a PathInfo')
    return fromWirePathInfo(message.pathInfo, message.rootSignatures.map(fromWireSignature))
  })
}

function toWirePathInfo(pathInfo: PathInfo): wire.PathInfo {
  const { storePath, references, deriver, ca } = pathInfo
  return {
    node: toWireNode(utf8Bytes(storePath.baseName), pathInfo.node),
    references: references.map((reference) => reference.hash),
    narinfo: {
      narSize: pathInfo.narSize,
      narSha256: pathInfo.narSha256,
      signatures: pathInfo.signatures.map(toWireSignature),
      referenceNames: references.map((reference) => reference.baseName),
      deriver:
        deriver === undefined
          ? undefined
          : { name: deriver.name.replace(/\.drv$/, ''), digest: deriver.hash },
      ca: ca === undefined ? undefined : toWireCa(ca),
    },
  }
}

function fromWirePathInfo(message: wire.PathInfo, rootSignatures: Signature[]): PathInfo {
  const { narinfo } = message
  if (narinfo === undefined) throw bad('a PathInfo has its NAR hash and size')
  const { name, node } = fromWireNode(message.node)
  const baseName = utf8Text(name)
  if (baseName === undefined) throw bad('the name of a PathInfo is that of a store path')
  const references = narinfo.referenceNames.map((it) => StorePath.parseBaseName(it))
  const hashesAgree =
    message.references.length === references.length &&
    references.every(({ hash }, i) => Buffer.compare(hash, message.references[i]!) === 0)
  if (!hashesAgree) throw bad('the names and the hash parts of the references are the same paths')
  const { deriver, ca } = narinfo
  return new PathInfo({
    storePath: StorePath.parseBaseName(baseName),
    node,
    narSize: narinfo.narSize,
    narSha256: narinfo.narSha256,
    references,
    deriver:
      deriver === undefined ? undefined : StorePath.of(deriver.digest, `${deriver.name}.drv`),
    ca: ca === undefined ? undefined : fromWireCa(ca),
    signatures: narinfo.signatures.map(fromWireSignature),
    rootSignatures,
  })
}

function toWireSignature({ name, data }: Signature): wire.NARInfo_Signature {
  return { name, data }
}

function fromWireSignature({ name, data }: wire.NARInfo_Signature): Signature {
  if (data.length !== 64) throw bad(`an ed25519 signature has 64 bytes, not ${data.length}`)
  if (!/^[^:\s]+$/.test(name)) throw bad('the name of a key holds no colon and no space')
  return { name, data }
}

function translated<T>(work: () => T): T {
  try {
    return work()
  } catch (cause) {
    if (cause instanceof PathInfoError) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new PathInfoError({ code: 'bad-path-info', what: why }, `no valid PathInfo: ${why}`, {
      cause,
    })
  }
}

function bad(what: string): PathInfoError {
  return new PathInfoError({ code: 'bad-path-info', what }, what)
}
