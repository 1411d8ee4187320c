import { expect, test } from 'vitest'
import { MemoryRecordStore } from '../../../src/castore/stores/memory-record-store.ts'
import { recordCastore } from '../../../src/castore/stores/record-castore.ts'
import { systemClock } from '../../../src/foundation/system-clock.ts'
import { systemRandom } from '../../../src/foundation/system-random.ts'
import { ingestNar } from '../../../src/nar/ingest-nar.ts'
import { renderNar } from '../../../src/nar/render-nar.ts'
import { PathInfo } from '../../../src/pathinfo/path-info.ts'
import { RecordPathInfoStore } from '../../../src/pathinfo/stores/record-path-info-store.ts'
import { TrustPolicy } from '../../../src/pathinfo/trust-policy.ts'
import { RemoteChannel } from '../../../src/rpc/remote/remote-channel.ts'
import { RemotePushTarget } from '../../../src/rpc/remote/remote-push-target.ts'
import { ClosurePush, type PushOutcome } from '../../../src/substitution/closure-push.ts'
import { ownClaim, pathNamed } from '../../fixtures/claims.ts'
import { allBytes, call, noise } from '../../fixtures/content.ts'
import { directory, file, inPieces, narOf, symlink, type Tree } from '../../nar/trees.ts'
import { TOKEN, testNode } from '../test-node.ts'

const TREES: Readonly<Record<string, Tree>> = {
  tree: directory({
    large: file(noise(2_000_000)),
    small: file('s'),
    empty: file(''),
    d: directory({}),
  }),
  file: file('some words'),
  link: symlink('nowhere'),
}

/** A store with some paths that refer to each other, and another one with nothing in it. */
async function world() {
  const node = await testNode()
  const records = new MemoryRecordStore()
  const castore = recordCastore({ records })
  const pathInfos = new RecordPathInfoStore({ records })
  const references = Object.keys(TREES).map(pathNamed)
  for (const [name, tree] of Object.entries(TREES)) {
    const ingested = await ingestNar(inPieces(narOf(tree), [1 << 16]), castore, call)
    const fields = { storePath: pathNamed(name), references: name === 'tree' ? references : [] }
    await pathInfos.put([ownClaim(new PathInfo({ ...fields, ...ingested }))], call)
  }
  const init = { address: node.address, token: TOKEN }
  const channel = new RemoteChannel({ clock: systemClock }, init)
  const trust = new TrustPolicy({}, { trustedKeys: [] })
  const target = new RemotePushTarget({ channel, castore, trust }, { name: 'far' })
  const push = async () => {
    const ports = { clock: systemClock, random: systemRandom }
    const it = new ClosurePush({ pathInfos, target, ...ports })
    const outcomes: PushOutcome[] = []
    await it.run([pathNamed('tree')], (outcome) => outcomes.push(outcome), call)
    return { outcomes, progress: it.progress }
  }
  return {
    ...{ node, push },
    [Symbol.asyncDispose]: async () => {
      channel[Symbol.dispose]()
      await node[Symbol.asyncDispose]()
    },
  }
}

test('a closure goes to another store, and not again', async () => {
  await using it = await world()
  const first = await it.push()
  expect(first.outcomes.map(({ error }) => error)).toEqual([undefined, undefined, undefined])
  for (const [name, tree] of Object.entries(TREES)) {
    const there = await it.node.pathInfos.get(pathNamed(name).hash, call)
    const nar = await allBytes(renderNar(there!.node, it.node.castore, call))
    expect(nar.equals(narOf(tree))).toBe(true)
  }
  expect(first.progress.bytesDone).toBe(first.progress.bytesTotal)
  const second = await it.push()
  expect(second.outcomes.every(({ held }) => held)).toBe(true)
  expect(second.progress.bytesTotal).toBe(0)
})
