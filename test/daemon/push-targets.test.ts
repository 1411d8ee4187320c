import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { MemoryRecordStore } from '../../src/castore/stores/memory-record-store.ts'
import { recordCastore } from '../../src/castore/stores/record-castore.ts'
import { ConfiguredPushTargets } from '../../src/daemon/push-targets.ts'
import { upstreamSchema } from '../../src/daemon/upstream-config.ts'
import { systemClock } from '../../src/foundation/system-clock.ts'
import { systemRandom } from '../../src/foundation/system-random.ts'
import { ingestNar } from '../../src/nar/ingest-nar.ts'
import { PathInfo } from '../../src/pathinfo/path-info.ts'
import { RecordPathInfoStore } from '../../src/pathinfo/stores/record-path-info-store.ts'
import { TrustPolicy } from '../../src/pathinfo/trust-policy.ts'
import { ClosurePush, type PushOutcome } from '../../src/substitution/closure-push.ts'
import { ownClaim, pathNamed } from '../fixtures/claims.ts'
import { call, noise } from '../fixtures/content.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { directory, file, inPieces, narOf } from '../nar/trees.ts'
import { TOKEN, testNode } from '../rpc/test-node.ts'

const STRANGERS = { isLocal: () => false }
const PATH = pathNamed('built-here')

/** A store with a path that nobody signed, and a node that takes this machine for another one. */
async function world() {
  await using stack = new AsyncDisposableStack()
  const { path } = stack.use(await temporaryDirectory())
  const node = stack.use(await testNode(STRANGERS))
  const records = new MemoryRecordStore()
  const castore = recordCastore({ records })
  const pathInfos = new RecordPathInfoStore({ records })
  const nar = narOf(directory({ a: file(noise(100_000)) }))
  const ingested = await ingestNar(inPieces(nar, [1 << 16]), castore, call)
  const pathInfo = new PathInfo({ storePath: PATH, references: [], ...ingested })
  await pathInfos.put([ownClaim(pathInfo)], call)
  const trust = new TrustPolicy({}, { trustedKeys: [] })
  const url = `grpc+http://${node.address}`
  const tokenFile = join(path, 'token')
  const push = async (upstream: object): Promise<PushOutcome> => {
    const spools = { open: () => Promise.reject(new Error('nothing is to be spooled')) }
    const components = { castore, trust, spools, clock: systemClock }
    const config = { upstream: [upstreamSchema.parse({ url, ...upstream })] }
    const targets = new ConfiguredPushTargets(components, config)
    await using target = await targets.open(url, { compression: 'zstd' })
    const ports = { clock: systemClock, random: systemRandom }
    const outcomes: PushOutcome[] = []
    const it = new ClosurePush({ pathInfos, target, ...ports })
    await it.run([PATH], (outcome) => outcomes.push(outcome), call)
    return outcomes[0]!
  }
  const owned = stack.move()
  const dispose = (): Promise<void> => owned.disposeAsync()
  return { node, push, tokenFile, [Symbol.asyncDispose]: dispose }
}

test('a store of another machine takes what comes with the token that its file names', async () => {
  await using it = await world()
  writeFileSync(it.tokenFile, `${TOKEN}\n`)
  expect((await it.push({ token_file: it.tokenFile })).error).toBeUndefined()
  expect(await it.node.pathInfos.get(PATH.hash, call)).toBeDefined()
})

test('and nothing without one, or with a wrong one', async () => {
  await using it = await world()
  expect(`${(await it.push({})).error}`).toMatch(/token|owner/)
  writeFileSync(it.tokenFile, `${TOKEN}x`)
  expect(`${(await it.push({ token_file: it.tokenFile })).error}`).toMatch(/token|owner/)
  expect(await it.node.pathInfos.get(PATH.hash, call)).toBeUndefined()
})

test('a file that can not be read is named', async () => {
  await using it = await world()
  await expect(it.push({ token_file: it.tokenFile })).rejects.toThrow(it.tokenFile)
})
