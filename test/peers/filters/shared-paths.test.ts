import { expect, test } from 'vitest'
import { silentLog } from '../../../src/foundation/log.ts'
import { SharedPaths } from '../../../src/peers/filters/shared-paths.ts'
import { until } from '../../fixtures/await-peers.ts'
import { peerNode, takeIn } from '../../fixtures/peer-node.ts'
import { directory, file, inPieces, narOf } from '../../nar/trees.ts'

const nar = () => inPieces(narOf(directory({ file: file('content') })), [100_000])

test('of what is held at the start, what is shared is among them', async () => {
  for (const mode of ['all', 'none'] as const) {
    await using node = await peerNode({ secretKey: undefined, share: { mode } })
    const { storePath } = await takeIn(node, 'held', nar())
    const { pathInfos, shared } = node
    await until(() => shared.progress.waiting === 0)
    const paths = new SharedPaths({ pathInfos, shared, log: silentLog })
    await paths.start()
    expect((await paths.hashes()).has(storePath.hash)).toBe(mode === 'all')
    await paths.stop()
  }
})
