import { expect, test } from 'vitest'
import { MemoryRecordStore } from '../../src/castore/stores/memory-record-store.ts'
import type { PathInfo } from '../../src/pathinfo/path-info.ts'
import { claimIdentity } from '../../src/pathinfo/root-fingerprint.ts'
import { SharePolicy } from '../../src/pathinfo/share-policy.ts'
import { Signer } from '../../src/pathinfo/signer.ts'
import { RecordPathInfoStore } from '../../src/pathinfo/stores/record-path-info-store.ts'
import { TrustPolicy } from '../../src/pathinfo/trust-policy.ts'
import { OwnerIntake } from '../../src/substitution/owner-intake.ts'
import { KEYS, pathInfoOf, pathNamed } from '../fixtures/claims.ts'
import { call, noise } from '../fixtures/content.ts'

function intakeOf(signer?: Signer) {
  const pathInfos = new RecordPathInfoStore({ records: new MemoryRecordStore() })
  const trust = new TrustPolicy({}, { trustedKeys: [KEYS.a.publicKey()] })
  const share = new SharePolicy({ trust })
  const offered: string[] = []
  const shared = {
    shares: (pathInfo: PathInfo) => share.shares(pathInfo),
    offered: async ({ storePath }: PathInfo) => void offered.push(storePath.name),
  }
  return { pathInfos, offered, intake: new OwnerIntake({ pathInfos, trust, shared, signer }) }
}

const namesOn = ({ signatures }: { signatures: readonly { name: string }[] }): string[] =>
  signatures.map(({ name }) => name)

test('what the owner puts in is signed both ways, stored and shared', async () => {
  const { intake, pathInfos, offered } = intakeOf(new Signer({ key: KEYS.a }))
  const { pathInfo, shared } = await intake.take(pathInfoOf('mine'), call)
  expect(shared).toBe(true)
  expect(offered).toEqual(['mine'])
  expect(namesOn(pathInfo)).toEqual(['a-1'])
  expect(pathInfo.rootSignatures.map(({ name }) => name)).toEqual(['a-1'])
  const held = await pathInfos.get(pathNamed('mine').hash, call)
  expect(claimIdentity(held!)).toBe(claimIdentity(pathInfo))
})

test('without a key it is stored all the same, for this machine alone', async () => {
  const { intake, pathInfos } = intakeOf()
  const { pathInfo, shared } = await intake.take(pathInfoOf('mine'), call)
  expect(shared).toBe(false)
  expect(namesOn(pathInfo)).toEqual([])
  expect(await pathInfos.get(pathNamed('mine').hash, call)).toBeDefined()
})

test('a key that is not configured as trusted shares nothing', async () => {
  const { intake } = intakeOf(new Signer({ key: KEYS.b }))
  expect((await intake.take(pathInfoOf('mine'), call)).shared).toBe(false)
})

test('signatures that came before are kept where the content is the same, and only there', async () => {
  const { intake } = intakeOf(new Signer({ key: KEYS.a }))
  const before = new Signer({ key: KEYS.b }).sign(pathInfoOf('mine'))
  await intake.take(before, call)
  expect(namesOn((await intake.take(pathInfoOf('mine'), call)).pathInfo)).toEqual(['b-1', 'a-1'])
  const changed = pathInfoOf('mine', { narSha256: noise(32, 'rebuilt') })
  expect(namesOn((await intake.take(changed, call)).pathInfo)).toEqual(['a-1'])
})

test('a signature that a trusted key belies is left out', async () => {
  const { intake } = intakeOf()
  const forged = [{ name: 'a-1', data: noise(64) }]
  const unknown = [{ name: 'b-1', data: noise(64) }]
  const given = pathInfoOf('mine', { signatures: [...forged, ...unknown], rootSignatures: forged })
  const { pathInfo } = await intake.take(given, call)
  expect(namesOn(pathInfo)).toEqual(['b-1'])
  expect(pathInfo.rootSignatures).toEqual([])
  const signed = await intake.take(new Signer({ key: KEYS.a }).sign(pathInfoOf('other')), call)
  expect(namesOn(signed.pathInfo)).toEqual(['a-1'])
  // The same content, but what was signed has changed.
  const changed = await intake.take(pathInfoOf('other', { references: [] }), call)
  expect(namesOn(changed.pathInfo)).toEqual([])
})

test('signatures are added where no trusted key belies them, and nothing is signed by it', async () => {
  const { intake, pathInfos } = intakeOf(new Signer({ key: KEYS.b }))
  const { pathInfo } = await intake.take(pathInfoOf('mine'), call)
  const { signatures, rootSignatures } = new Signer({ key: KEYS.a }).sign(pathInfoOf('mine'))
  const forged = { name: 'a-1', data: noise(64) }
  for (const added of [
    { nix: [...signatures, forged], root: [] },
    { nix: [], root: [forged] },
    { nix: rootSignatures, root: signatures }, // true ones, but of something else
  ]) {
    await expect(intake.addSignatures(pathInfo, added, call)).rejects.toThrow(
      expect.objectContaining({ fault: expect.objectContaining({ code: 'bad-signature' }) }),
    )
    expect(namesOn((await pathInfos.get(pathNamed('mine').hash, call))!)).toEqual(['b-1'])
  }
  const added = { nix: signatures, root: rootSignatures }
  const taken = await intake.addSignatures(pathInfo, added, call)
  expect(taken.shared).toBe(true)
  expect(namesOn(taken.pathInfo)).toEqual(['b-1', 'a-1'])
})
