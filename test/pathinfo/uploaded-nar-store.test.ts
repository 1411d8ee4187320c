import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeRoot } from '../../src/castore/model/directory-codec.ts'
import { MemoryRecordStore } from '../../src/castore/stores/memory-record-store.ts'
import { UploadedNarStore } from '../../src/pathinfo/uploaded-nar-store.ts'
import { anyNode } from '../fixtures/claims.ts'
import { call, noise } from '../fixtures/content.ts'

test('an uploaded NAR is found by its hash and by its file, whatever its root', async () => {
  const anyUpload = fc.record({
    node: anyNode,
    narSize: fc.integer({ min: 1, max: 2 ** 50 }),
    narSha256: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    compression: fc.constantFrom('none', 'xz', 'zstd', 'gzip'),
  })
  await fc.assert(
    fc.asyncProperty(anyUpload, async (nar) => {
      const store = new UploadedNarStore({ records: new MemoryRecordStore() })
      await store.put('a.nar', nar, call)
      const held = await store.get(nar.narSha256, call)
      expect(await store.getFile('a.nar', call)).toEqual(held)
      expect(held?.compression).toBe(nar.compression)
      expect(held?.narSize).toBe(nar.narSize)
      expect(Buffer.from(held!.narSha256).equals(nar.narSha256)).toBe(true)
      expect(Buffer.from(encodeRoot(held!.node)).equals(encodeRoot(nar.node))).toBe(true)
    }),
  )
})

test('what was not uploaded is undefined', async () => {
  const store = new UploadedNarStore({ records: new MemoryRecordStore() })
  expect(await store.get(noise(32, 'absent'), call)).toBeUndefined()
  expect(await store.getFile('absent.nar', call)).toBeUndefined()
})
