import { zstdDecompressSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { narListing } from '../../src/nar/nar-listing.ts'
import { parseNarInfo } from '../../src/nix/nar-info.ts'
import { pathNamed } from '../fixtures/claims.ts'
import { call, noise } from '../fixtures/content.ts'
import {
  COMPLICATED,
  directory,
  file,
  narOf,
  nested,
  SMALL,
  symlink,
  type Tree,
} from '../nar/trees.ts'
import { rawHttp } from './raw-http.ts'
import { type ForgetfulRecordStore, narInfoUrl, testGateway } from './test-gateway.ts'
import { put } from './uploading.ts'

type Listed = {
  readonly type: string
  readonly size?: number
  readonly executable?: boolean
  readonly narOffset?: number
  readonly target?: string
  readonly entries?: Readonly<Record<string, Listed>>
}

/** Holds a listing against the tree that it is of, and the offsets against the NAR. */
function expectListed(listed: Listed, tree: Tree, nar: Buffer): void {
  switch (tree.type) {
    case 'file': {
      const { narOffset: at = 0 } = listed
      const mode = tree.executable ? { executable: true } : {}
      const size = tree.content.length
      expect(listed).toEqual({ type: 'regular', size, narOffset: at, ...mode })
      expect(nar.subarray(at, at + size).equals(tree.content)).toBe(true)
      expect(nar.readUInt32LE(at - 8)).toBe(size)
      return
    }
    case 'symlink':
      expect(listed).toEqual({ type: 'symlink', target: Buffer.from(tree.target).toString() })
      return
    case 'directory':
      expect(listed.type).toBe('directory')
      expect(Object.keys(listed.entries!)).toHaveLength(tree.entries.length)
      for (const [name, inner] of tree.entries) {
        expectListed(listed.entries![Buffer.from(name).toString()]!, inner, nar)
      }
  }
}

const TREES: Record<string, Tree> = {
  small: SMALL,
  complicated: COMPLICATED,
  file: file('one file', true),
  empty: directory({}),
  symlink: symlink('/nix/store/somewhereelse'),
  'odd names': directory({
    'a "quoted"\n\\ name': file('1'),
    '𝄞': file('2'),
    __proto__x: file(''),
  }),
  large: directory({ large: file(noise(1_000_000)), z: file('after it') }),
  deep: nested(64),
}

test.each(Object.keys(TREES))('the listing of %s says where everything is', async (name) => {
  await using gateway = await testGateway({ storage: 'segments' })
  const { storePath } = await gateway.hold(name.replace(' ', '-'), TREES[name]!)
  const path = `/${storePath.hashText}.ls`
  const answer = await rawHttp(gateway.port, path)
  expect(answer.status).toBe(200)
  expect(answer.headers['content-type']).toBe('application/json')
  const { version, root, ...rest } = JSON.parse(answer.body.toString())
  expect({ version, rest }).toEqual({ version: 1, rest: {} })
  expectListed(root, TREES[name]!, narOf(TREES[name]!))
  expect((await rawHttp(gateway.port, path, { method: 'HEAD' })).status).toBe(200)
  const zstd = await rawHttp(gateway.port, path, { headers: { 'accept-encoding': 'zstd' } })
  expect(zstdDecompressSync(zstd.body).equals(answer.body)).toBe(true)
})

test('no blob is read for a listing', async () => {
  await using gateway = await testGateway()
  const { storePath } = await gateway.hold('small', SMALL)
  ;(gateway.records as ForgetfulRecordStore).chunksLeft = 0
  expect((await rawHttp(gateway.port, `/${storePath.hashText}.ls`)).status).toBe(200)
})

test('names and targets that are no UTF-8 are spelt out, so that the rest can be read', async () => {
  await using gateway = await testGateway()
  const tree: Tree = {
    type: 'directory',
    entries: [
      [Buffer.from([0x63, 0xe9]), file('1')],
      [Buffer.from([0xff]), { type: 'symlink', target: Buffer.from([0x61, 0xfe]) }],
    ],
  }
  const { storePath } = await gateway.hold('odd', tree)
  const { body } = await rawHttp(gateway.port, `/${storePath.hashText}.ls`)
  const { entries } = JSON.parse(body.toString()).root
  expect(Object.keys(entries)).toEqual(['c\\xe9', '\\xff'])
  expect(entries['\\xff'].target).toBe('a\\xfe')
})

test('what is not here, or lacks a Directory, has no listing', async () => {
  await using gateway = await testGateway()
  const { storePath } = await gateway.hold('small', SMALL)
  for (const path of [`/${pathNamed('absent').hashText}.ls`, '/nonsense.ls', '/..%2fx.ls']) {
    expect((await rawHttp(gateway.port, path)).status).toBe(404)
  }
  ;(gateway.records as ForgetfulRecordStore).forget('directory')
  expect((await rawHttp(gateway.port, `/${storePath.hashText}.ls`)).status).toBe(404)
})

test('a tree of too many entries is not listed, before anything is read of it', async () => {
  await using gateway = await testGateway()
  const { node } = await gateway.hold('small', SMALL)
  const { directories } = gateway.castore
  await expect(narListing(node, directories, call, { entriesMax: 6 })).rejects.toMatchObject({
    fault: { code: 'too-large' },
  })
  await narListing(node, directories, call, { entriesMax: 7 })
})

test('a listing that is put says nothing: what is held counts', async () => {
  await using gateway = await testGateway()
  const { storePath } = await gateway.hold('small', SMALL)
  const path = `/${storePath.hashText}.ls`
  const before = await rawHttp(gateway.port, path)
  expect((await put(gateway, path, '{"version":1,"root":{}}')).status).toBe(204)
  expect((await rawHttp(gateway.port, path)).body.equals(before.body)).toBe(true)
  expect((await put(gateway, '/nonsense.ls', '{}')).status).toBe(404)
  const info = parseNarInfo(await (await fetch(narInfoUrl(gateway, storePath))).text())
  expect(info.storePath.equals(storePath)).toBe(true)
})
