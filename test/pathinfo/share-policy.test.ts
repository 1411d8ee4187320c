import { expect, test } from 'vitest'
import { NamePattern } from '../../src/pathinfo/name-pattern.ts'
import { PathInfo } from '../../src/pathinfo/path-info.ts'
import { SharePolicy, type ShareRules } from '../../src/pathinfo/share-policy.ts'
import { Signer } from '../../src/pathinfo/signer.ts'
import { TrustPolicy } from '../../src/pathinfo/trust-policy.ts'
import { KEYS, pathInfoOf } from '../fixtures/claims.ts'

const trust = new TrustPolicy({}, { trustedKeys: [KEYS.a.publicKey()] })
const plain = pathInfoOf('shared')
const signed = new Signer({ key: KEYS.a }).sign(plain)

const patterns = (...texts: string[]): NamePattern[] => texts.map((it) => NamePattern.parse(it)!)

test('what a configured key has signed is shared, all else stays here', () => {
  const share = new SharePolicy({ trust })
  expect(share.shares(signed)).toBe(true)
  expect(share.shares(plain)).toBe(false)
  expect(share.shares(new Signer({ key: KEYS.b }).sign(plain))).toBe(false)
  expect(share.shares(pathInfoOf('other', { signatures: signed.signatures }))).toBe(false)
})

test.each([
  [{ mode: 'signed' }, true, false],
  [{ mode: 'all' }, true, true],
  [{ mode: 'none' }, false, false],
  [{ mode: 'signed', allow: patterns('sha*') }, true, true],
  [{ mode: 'none', allow: patterns('sha*') }, true, true],
  [{ mode: 'none', allow: patterns('other*') }, false, false],
  [{ mode: 'signed', deny: patterns('sha*') }, false, false],
  [{ mode: 'all', deny: patterns('sha*') }, false, false],
  [{ mode: 'all', deny: patterns('other*') }, true, true],
  [{ mode: 'all', allow: patterns('sha*'), deny: patterns('*red') }, false, false],
] as [ShareRules, boolean, boolean][])('%j', (rules, ofSigned, ofUnsigned) => {
  const share = new SharePolicy({ trust }, rules)
  expect(share.shares(signed)).toBe(ofSigned)
  expect(share.shares(plain)).toBe(ofUnsigned)
})

test('what the owner chose for the very path counts most', () => {
  for (const rules of [{ deny: patterns('*') }, { mode: 'all' }] as ShareRules[]) {
    for (const chosen of [true, false]) {
      const choices = { of: () => chosen, fingerprint: '' }
      const share = new SharePolicy({ trust, choices }, rules)
      expect(share.shares(plain)).toBe(chosen)
      expect(share.shares(signed)).toBe(chosen)
    }
  }
})

test('what belongs to no path leaves the machine only where all does', () => {
  const documents = (['signed', 'all', 'none'] as const).map(
    (mode) => new SharePolicy({ trust }, { mode }).sharesDocuments,
  )
  expect(documents).toEqual([false, true, false])
})

test('the fingerprint is another where anything may be, and the same where nothing is', () => {
  const of = (rules: ShareRules = {}, keys = [KEYS.a], choices = ''): string => {
    const trustedKeys = keys.map((key) => key.publicKey())
    const chosen = { of: () => undefined, fingerprint: choices }
    const trusting = new TrustPolicy({}, { trustedKeys })
    return new SharePolicy({ trust: trusting, choices: chosen }, rules).fingerprint
  }
  const different = [
    of(),
    of({ mode: 'all' }),
    of({ allow: patterns('a') }),
    of({ deny: patterns('a') }),
    of({ deny: patterns('a', 'b') }),
    of({}, [KEYS.b]),
    of({}, [KEYS.a, KEYS.b]),
    of({}, [KEYS.a], 'one'),
  ]
  expect(new Set(different).size).toBe(different.length)
  expect(of({ mode: 'signed', allow: [], deny: [] })).toBe(of())
  expect(of({ deny: patterns('b', 'a') })).toBe(of({ deny: patterns('a', 'b') }))
  expect(of({}, [KEYS.b, KEYS.a])).toBe(of({}, [KEYS.a, KEYS.b]))
})

test('a verdict is remembered, but for that very claim only', () => {
  let asked = 0
  const counting = {
    trustedKeys: trust.trustedKeys,
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
