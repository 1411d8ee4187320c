import { expect, test } from 'vitest'
import { FileNode } from '../../src/castore/model/node.ts'
import { Digest } from '../../src/foundation/digest.ts'
import { SecretKey } from '../../src/nix/key.ts'
import type { PathInfo } from '../../src/pathinfo/path-info.ts'
import { PathInfoError } from '../../src/pathinfo/path-info-error.ts'
import { Signer } from '../../src/pathinfo/signer.ts'
import { asFinal, TrustPolicy } from '../../src/pathinfo/trust-policy.ts'
import { KEYS, pathInfoOf } from '../fixtures/claims.ts'
import { noise } from '../fixtures/content.ts'

const trust = new TrustPolicy({}, { trustedKeys: [KEYS.a.publicKey()] })
const nobody = new TrustPolicy({}, { trustedKeys: [] })
const plain = pathInfoOf('hello')
const signed = new Signer({ key: KEYS.a }).sign(plain)
const nixSigned = plain.withSignatures(signed.signatures)
const rootSigned = plain.withSignatures([], signed.rootSignatures)
const otherNode = new FileNode(Digest.of(noise(32, 'other')), 5, false)

function verdict(pathInfo: PathInfo, policy = trust): string {
  try {
    const { voucher, final } = policy.admit({ pathInfo, origin: 'stranger' })
    return `${voucher}${final ? ', final' : ''}`
  } catch (error) {
    return error instanceof PathInfoError ? error.fault.code : String(error)
  }
}

function changed(pathInfo: PathInfo, change: Partial<PathInfo>): PathInfo {
  return pathInfoOf('hello', { ...pathInfo, ...change })
}

test('a signature over the root is final, one of the Nix way is not yet', () => {
  expect(verdict(signed)).toBe('root-signature, final')
  expect(verdict(rootSigned)).toBe('root-signature, final')
  expect(verdict(nixSigned)).toBe('nix-signature')
})

test('who is not trusted vouches for nothing', () => {
  expect(verdict(plain)).toBe('untrusted')
  expect(verdict(new Signer({ key: KEYS.b }).sign(plain))).toBe('untrusted')
})

test('an empty key list trusts nobody', () => {
  for (const pathInfo of [plain, signed, nixSigned])
    expect(verdict(pathInfo, nobody)).toBe('untrusted')
})

test('the owner is believed without any key, and at once', () => {
  const claim = nobody.admit({ pathInfo: plain, origin: 'owner' })
  expect(claim.voucher).toBe('owner')
  expect(asFinal(claim)).toBe(claim)
})

test('a trusted name under a signature that its key did not make is a forgery', () => {
  const imposter = new Signer({ key: SecretKey.generate(KEYS.a.name) })
  expect(verdict(imposter.sign(plain))).toBe('forged')
  expect(verdict(imposter.sign(signed))).toBe('root-signature, final')
})

test.each([
  ['NAR hash', { narSha256: noise(32, 'changed') }],
  ['NAR size', { narSize: 121 }],
  ['references', { references: [] }],
  ['store path', { storePath: pathInfoOf('other').storePath }],
] as const)('a change of the %s breaks both signatures', (_, change) => {
  expect(verdict(changed(nixSigned, change))).toBe('forged')
  expect(verdict(changed(rootSigned, change))).toBe('forged')
})

test('a change of the root breaks the signature over the root, and is caught later by the other', () => {
  expect(verdict(changed(rootSigned, { node: otherNode }))).toBe('forged')
  const executable = new FileNode(Digest.of(noise(32, 'hello')), 5, true)
  expect(verdict(changed(rootSigned, { node: executable }))).toBe('forged')
  expect(verdict(changed(signed, { node: otherNode }))).toBe('nix-signature')
})

test('a signature of one kind is none of the other kind', () => {
  expect(verdict(plain.withSignatures(signed.rootSignatures))).toBe('forged')
  expect(verdict(plain.withSignatures([], signed.signatures))).toBe('forged')
})

test('settling needs the NAR that was signed', () => {
  const claim = trust.admit({ pathInfo: nixSigned, origin: 'stranger' })
  expect(asFinal(claim)).toBeUndefined()
  const { narSize, narSha256 } = plain
  expect(trust.settle(claim, { narSize, narSha256 }).final).toBe(true)
  for (const measured of [
    { narSize: narSize + 1, narSha256 },
    { narSize, narSha256: noise(32, 'another') },
  ]) {
    const fault = expect.objectContaining({
      fault: expect.objectContaining({ code: 'nar-mismatch' }),
    })
    expect(() => trust.settle(claim, measured)).toThrow(fault)
  }
})

test('either signature of a configured key makes a path signed', () => {
  for (const pathInfo of [signed, nixSigned, rootSigned]) {
    expect(trust.isSigned(pathInfo)).toBe(true)
    expect(nobody.isSigned(pathInfo)).toBe(false)
  }
  expect(trust.isSigned(plain)).toBe(false)
})
