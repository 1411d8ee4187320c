import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { parseNarInfo } from '../../src/nix/nar-info.ts'
import { PathFacts } from '../../src/pathinfo/path-facts.ts'
import { PathInfo } from '../../src/pathinfo/path-info.ts'
import { Signer } from '../../src/pathinfo/signer.ts'
import type { NarOffer, PathSource } from '../../src/substitution/path-source.ts'
import { until } from '../fixtures/await-peers.ts'
import { KEYS, pathInfoOf, pathNamed } from '../fixtures/claims.ts'
import { call } from '../fixtures/content.ts'
import { file, narOf } from '../nar/trees.ts'
import { testGateway } from './test-gateway.ts'

const trustedKeys = [KEYS.a.publicKey()]

/** A cache with a chain of paths, each referring to the next. */
function chain(names: readonly string[]) {
  const pulled: string[] = []
  const offers = names.map((name, i): NarOffer => {
    const nar = narOf(file(name))
    const narSha256 = createHash('sha256').update(nar).digest()
    const references = names.slice(i + 1, i + 2).map(pathNamed)
    const fields = { storePath: pathNamed(name), narSize: nar.length, narSha256, references }
    const plain = new PathInfo({ ...pathInfoOf(name), ...fields, signatures: [] })
    const { signatures } = new Signer({ key: KEYS.a }).sign(plain)
    return {
      kind: 'nar',
      facts: new PathFacts({ ...fields, signatures }),
      keys: [],
      isShared: true,
      async *nar() {
        pulled.push(name)
        yield nar
      },
      turnDown: () => undefined,
    }
  })
  const source: PathSource = {
    name: 'cache',
    priority: 40,
    async *find(hash) {
      const offer = offers.find(({ facts }) => Buffer.from(facts.storePath.hash).equals(hash))
      if (offer !== undefined) yield offer
    },
  }
  return { source, pulled }
}

test('the rest of a closure comes while a client is busy with the first path of it', async () => {
  const { source, pulled } = chain(['top', 'middle', 'base'])
  await using gateway = await testGateway({ sources: [source], trustedKeys })
  const urls: string[] = []
  for (const name of ['top', 'middle', 'base']) {
    const answer = await fetch(`${gateway.url}/${pathNamed(name).hashText}.narinfo`)
    urls.push(parseNarInfo(await answer.text()).url)
  }
  expect(pulled).toEqual([])
  await fetch(`${gateway.url}/${urls.at(-1)}`)
  const isHere = async (name: string): Promise<boolean> =>
    (await gateway.pathInfos.get(pathNamed(name).hash, call)) !== undefined
  await until(async () => (await isHere('middle')) && (await isHere('top')))
  for (const url of urls) expect((await fetch(`${gateway.url}/${url}`)).status).toBe(200)
  expect(pulled.toSorted()).toEqual(['base', 'middle', 'top'])
})

test('who asks only what there is to know has nothing fetched', async () => {
  const { source, pulled } = chain(['top', 'middle', 'base'])
  await using gateway = await testGateway({ sources: [source], trustedKeys })
  for (const name of ['top', 'middle', 'base']) {
    const url = `${gateway.url}/${pathNamed(name).hashText}.narinfo`
    const info = parseNarInfo(await (await fetch(url)).text())
    expect((await fetch(`${gateway.url}/${info.url}`, { method: 'HEAD' })).status).toBe(200)
  }
  expect(pulled).toEqual([])
})
