import { expect, test } from 'vitest'
import { PathInfo } from '../../src/pathinfo/path-info.ts'
import { SharePolicy } from '../../src/pathinfo/share-policy.ts'
import { Signer } from '../../src/pathinfo/signer.ts'
import { TrustPolicy } from '../../src/pathinfo/trust-policy.ts'
import { KEYS, pathInfoOf } from '../fixtures/claims.ts'

const trust = new TrustPolicy({}, { trustedKeys: [KEYS.a.publicKey()] })
const plain = pathInfoOf('shared')
const signed = new Signer({ key: KEYS.a }).sign(plain)

test('what a configured key has signed is shared, all else stays here', () => {
  const share = new SharePolicy({ trust })
  expect(share.shares(signed)).toBe(true)
  expect(share.shares(plain)).toBe(false)
  expect(share.shares(new Signer({ key: KEYS.b }).sign(plain))).toBe(false)
  expect(share.shares(pathInfoOf('other', { signatures: signed.signatures }))).toBe(false)
})

test('a verdict is remembered, but for that very claim only', () => {
  let asked = 0
  const counting = {
    isSigned: (it: typeof signed) => {
      asked++
      return trust.isSigned(it)
    },
  }
  const share = new SharePolicy({ trust: counting })
  for (let i = 0; i < 3; i++) expect(share.shares(signed)).toBe(true)
  expect(asked).toBe(1)
  expect(share.shares(plain)).toBe(false)
  const swapped = { signatures: signed.rootSignatures, rootSignatures: signed.signatures }
  expect(share.shares(new PathInfo({ ...signed, ...swapped }))).toBe(false)
  expect(asked).toBe(3)
})
