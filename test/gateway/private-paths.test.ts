import { expect, test } from 'vitest'
import { encodeRoot } from '../../src/castore/model/directory-codec.ts'
import { type Node, SymlinkNode } from '../../src/castore/model/node.ts'
import { nixFingerprint } from '../../src/nix/fingerprint.ts'
import { NamePattern } from '../../src/pathinfo/name-pattern.ts'
import type { PathInfo } from '../../src/pathinfo/path-info.ts'
import { KEYS, ownClaim, pathNamed } from '../fixtures/claims.ts'
import { call, noise } from '../fixtures/content.ts'
import { directory, file, type Tree } from '../nar/trees.ts'
import { rawHttp } from './raw-http.ts'
import { type TestGateway, TOKEN, testGateway } from './test-gateway.ts'
import { NAR, narInfo, put, putNar, sha256 } from './uploading.ts'

/** What a proxy on this machine adds: then it is not its owner who asks. */
const ELSEWHERE = { 'x-forwarded-for': '192.0.2.7' }
const trustedKeys = [KEYS.a.publicKey()]

const COMMON = noise(600_000, 'common')
const SHARED = directory({ common: file(COMMON), inner: directory({ open: file('open') }) })
const PRIVATE = directory({ common: file(COMMON), inner: directory({ secret: file('secret') }) })

async function holdSigned(gateway: TestGateway, name: string, tree: Tree): Promise<PathInfo> {
  const held = await gateway.hold(name, tree)
  const pathInfo = held.withSignatures([KEYS.a.sign(nixFingerprint(held))])
  await gateway.pathInfos.put([ownClaim(pathInfo)], call)
  await gateway.others.tells(pathInfo, call)
  return pathInfo
}

const rootUrl = (node: Node): string =>
  `/nar/snix-castore/${Buffer.from(encodeRoot(node)).toString('base64url')}`

/** All that can be asked about a path, by its name and by its root. */
const urlsOf = (hashText: string, node: Node): string[] => [
  `/${hashText}.narinfo`,
  `/${hashText}.ls`,
  rootUrl(node),
  `${rootUrl(node).replace('snix', 'tvix')}?narsize=1`,
  `${rootUrl(node)}?path=${hashText}`,
]

async function answersTo(gateway: TestGateway, urls: readonly string[], headers = {}) {
  const answers: unknown[] = []
  for (const method of ['GET', 'HEAD']) {
    for (const url of urls) {
      for (const range of [undefined, 'bytes=1-9']) {
        const init = { method, headers: { ...headers, ...(range === undefined ? {} : { range }) } }
        const { status, headers: got, body } = await rawHttp(gateway.port, url, init)
        const { date: _date, ...same } = got
        answers.push({ method, range, status, headers: same, body: body.toString('latin1') })
      }
    }
  }
  return answers
}

const statusesOf = (answers: readonly unknown[]): Set<number> =>
  new Set(answers.map((it) => (it as { status: number }).status))

test('of a private path others learn as little as of one that nobody has', async () => {
  await using gateway = await testGateway({ trustedKeys })
  await holdSigned(gateway, 'shared', SHARED)
  const own = await gateway.hold('private', PRIVATE)
  await using empty = await testGateway({ trustedKeys })
  const urls = urlsOf(own.storePath.hashText, own.node)
  const told = await answersTo(gateway, urls, ELSEWHERE)
  expect(told).toEqual(await answersTo(empty, urls, ELSEWHERE))
  expect(statusesOf(told)).toEqual(new Set([404]))
  expect(statusesOf(await answersTo(gateway, urls))).toEqual(new Set([200, 206]))
  const authorization = `Bearer ${TOKEN}`
  const byToken = await answersTo(gateway, urls, { ...ELSEWHERE, authorization })
  expect(statusesOf(byToken)).toEqual(new Set([200, 206]))
})

test('what is shared is there for everybody, even with a token that is none', async () => {
  await using gateway = await testGateway({ trustedKeys })
  const { storePath, node } = await holdSigned(gateway, 'shared', SHARED)
  const urls = urlsOf(storePath.hashText, node)
  for (const headers of [ELSEWHERE, { ...ELSEWHERE, authorization: 'Bearer none' }]) {
    expect(statusesOf(await answersTo(gateway, urls, headers))).toEqual(new Set([200, 206]))
  }
})

test('a part of a shared path can be had by itself, one of a private path can not', async () => {
  await using gateway = await testGateway({ trustedKeys })
  const shared = await holdSigned(gateway, 'shared', SHARED)
  const own = await gateway.hold('private', PRIVATE)
  const below = async ({ node }: PathInfo, name: string): Promise<Node> => {
    if (node.type !== 'directory') throw new Error('it is a directory')
    const top = await gateway.castore.directories.get(node.digest, call)
    return top!.get(Buffer.from(name))!
  }
  const statusOf = async (node: Node) =>
    (await rawHttp(gateway.port, rootUrl(node), { headers: ELSEWHERE })).status
  expect(await statusOf(await below(shared, 'inner'))).toBe(200)
  expect(await statusOf(await below(own, 'inner'))).toBe(404)
  expect(await statusOf(await below(own, 'common'))).toBe(200) // the shared path has it, too
  expect(await statusOf(new SymlinkNode(Buffer.from('anything')))).toBe(200)
})

test('a private path is not had by the name of a shared one, nor the other way round', async () => {
  await using gateway = await testGateway({ trustedKeys })
  const shared = await holdSigned(gateway, 'shared', SHARED)
  const own = await gateway.hold('private', PRIVATE)
  const ask = (node: Node, of: PathInfo) =>
    rawHttp(gateway.port, `${rootUrl(node)}?path=${of.storePath.hashText}`, { headers: ELSEWHERE })
  const { body } = await ask(shared.node, shared)
  // The name counts, as it does where a root proved to be another than was claimed.
  expect((await ask(own.node, shared)).body.equals(body)).toBe(true)
  expect((await ask(shared.node, own)).body.equals(body)).toBe(true)
  expect((await ask(own.node, own)).status).toBe(404)
})

test('files that were uploaded are there for others once they are shared', async () => {
  await using gateway = await testGateway({ trustedKeys })
  const { url, file: uploaded } = await putNar(gateway, 'xz')
  const status = async (headers = {}) => {
    return (await rawHttp(gateway.port, `/${url}`, { method: 'HEAD', headers })).status
  }
  expect(await status()).toBe(200)
  expect(await status(ELSEWHERE)).toBe(404)
  const storePath = pathNamed('uploaded')
  const references = [storePath]
  const claimed = { storePath, narSha256: sha256(NAR), narSize: NAR.length, references }
  const signatures = [KEYS.a.sign(nixFingerprint(claimed))]
  const text = narInfo({ ...uploaded, ...claimed, signatures })
  expect((await put(gateway, `/${storePath.hashText}.narinfo`, text)).status).toBe(204)
  await gateway.others.tells((await gateway.pathInfos.get(storePath.hash, call))!, call)
  expect(await status(ELSEWHERE)).toBe(200)
})

test.each([
  ['signed', 404],
  ['none', 404],
  ['all', 200],
] as const)('where the mode is %s, others are answered %i for a log', async (mode, expected) => {
  await using gateway = await testGateway({ trustedKeys, share: { mode } })
  const path = `/log/${'0'.repeat(32)}-hello.drv`
  expect((await put(gateway, path, 'a line')).status).toBe(204)
  expect((await rawHttp(gateway.port, path)).status).toBe(200)
  expect((await rawHttp(gateway.port, path, { headers: ELSEWHERE })).status).toBe(expected)
})

test('whom nobody vouches for does not learn what is held by bringing it', async () => {
  const deny = [NamePattern.parse('*')!]
  const init = { headers: ELSEWHERE }
  await using gateway = await testGateway({ trustedKeys, share: { deny } })
  await using empty = await testGateway({ trustedKeys, share: { deny } })
  const own = await gateway.hold('x', PRIVATE)
  const { file: uploaded } = await putNar(gateway, 'none')
  const path = `/${own.storePath.hashText}.narinfo`
  const unsigned = narInfo({ storePath: own.storePath, signatures: [] })
  const claimed = { storePath: own.storePath, narSha256: sha256(NAR), narSize: NAR.length }
  const signatures = [KEYS.a.sign(nixFingerprint({ ...claimed, references: [] }))]
  const ofFile = narInfo({ ...uploaded, ...claimed, references: [], signatures })
  const { storePath, narSize, narSha256, references } = own
  const ofRoot = narInfo({
    ...{ storePath, narSize, narSha256, references, fileSize: narSize },
    url: rootUrl(own.node).slice(1),
    fileHash: undefined,
    signatures: [KEYS.a.sign(nixFingerprint(own))],
  })
  for (const text of [unsigned, ofFile, ofRoot]) {
    const told = await put(gateway, path, text, init)
    const { status, text: words } = await put(empty, path, text, init)
    expect(told).toMatchObject({ status, text: words })
    expect(status).toBeGreaterThanOrEqual(400)
  }
})
