import { describe, expect, test } from 'vitest'
import { encodeRoot } from '../../src/castore/model/directory-codec.ts'
import type { RecordKind } from '../../src/castore/record-store.ts'
import { WHOLE_MS } from '../../src/gateway/whole-roots.ts'
import { noise } from '../fixtures/content.ts'
import { manualClock } from '../foundation/manual-clock.ts'
import { directory, file, narOf, symlink, type Tree } from '../nar/trees.ts'
import { rawHttp } from './raw-http.ts'
import { type ForgetfulRecordStore, testGateway } from './test-gateway.ts'
import { NAR_INFO_PATH, narInfo, put, putNar } from './uploading.ts'

const DEEP = directory({ a: directory({ b: directory({ large: file(noise(900_000)) }) }) })

describe('what is partly missing is not here, to HEAD and GET', () => {
  const lost: [what: string, kind: RecordKind, tree: Tree][] = [
    ['a tree without its chunks', 'chunk', DEEP],
    ['a tree without the lists of its chunks', 'layout', DEEP],
    ['a tree without its Directories', 'directory', DEEP],
    ['a small file without its chunk', 'chunk', file('small')],
    ['a large file without its chunks', 'chunk', file(noise(900_000))],
  ]
  test.each(lost)('%s', async (_, kind, tree) => {
    const clock = manualClock()
    await using gateway = await testGateway({ clock })
    const records = gateway.records as ForgetfulRecordStore
    const { node, storePath } = await gateway.hold('tree', tree)
    const root = `/nar/snix-castore/${Buffer.from(encodeRoot(node)).toString('base64url')}`
    const nar = narOf(tree)
    const { url } = await putNar(gateway, 'none', { nar })
    const paths = [root, `${root}?path=${storePath.hashText}`, `/${url}`]
    const statuses = async (): Promise<number[]> => {
      const found: number[] = []
      for (const path of paths) {
        for (const method of ['HEAD', 'GET']) {
          found.push((await rawHttp(gateway.port, path, { method })).status)
        }
      }
      return found
    }
    records.forget(kind)
    expect(new Set(await statuses())).toEqual(new Set([404]))
    expect((await put(gateway, NAR_INFO_PATH, narInfo({ url }))).status).toBe(400)
    records.found()
    expect(new Set(await statuses())).toEqual(new Set([200]))
    // It is remembered to be whole for a while, and then looked at again.
    records.forget(kind)
    expect((await rawHttp(gateway.port, root, { method: 'HEAD' })).status).not.toBe(500)
    await clock.pass(WHOLE_MS)
    expect(new Set(await statuses())).toEqual(new Set([404]))
  })
})

test('whether a root is whole is asked of the store once, and not at each request', async () => {
  await using gateway = await testGateway()
  const records = gateway.records as ForgetfulRecordStore
  const tree = directory(
    Object.fromEntries(Array.from({ length: 2_000 }, (_, i) => [`f${i}`, file(`${i}`)])),
  )
  const { node } = await gateway.hold('tree', tree)
  const path = `/nar/snix-castore/${Buffer.from(encodeRoot(node)).toString('base64url')}`
  const head = () => rawHttp(gateway.port, path, { method: 'HEAD' })
  expect((await head()).status).toBe(200)
  records.forget('chunk')
  expect((await head()).status).toBe(200)
})

test('a symlink is whole by itself', async () => {
  await using gateway = await testGateway()
  const { node } = await gateway.hold('link', symlink('/nowhere'))
  const path = `/nar/tvix-castore/${Buffer.from(encodeRoot(node)).toString('base64url')}`
  for (const kind of ['chunk', 'layout', 'directory'] as const) {
    ;(gateway.records as ForgetfulRecordStore).forget(kind)
  }
  expect((await rawHttp(gateway.port, path)).status).toBe(200)
})
