import { join } from 'node:path'
import { call } from '../../../fixtures/content.ts'
import { changedChunkBytes, makeClosure, makeNextVersion } from '../content.ts'
import { medianRace, race } from '../race.ts'
import { copies, type Scenario, setting, timed, verdict } from '../report.ts'
import { plant } from '../world.ts'
import { plantedWorld } from './at-once.ts'

export const version: Scenario = {
  what: 'all hold the tree of `closure`, the seed a next version of it, which all others fetch',
  run: async (options) => {
    let changed = 0
    let where = ''
    const typical = await medianRace(options.runs, async () => {
      await using planted = await plantedWorld(options, makeClosure)
      const { world, content: first, storePath } = planted
      where = setting(options.nodes, first, options)
      await Promise.all(world.fetchers.map((fetcher) => fetcher.fetch(storePath, call)))
      const second = await makeNextVersion(first, join(world.scratch, 'next'))
      changed = await changedChunkBytes(first, second)
      const next = await plant(world, second, 'content')
      return await race(world, { storePath: next, content: second })
    })
    const { seconds, receivedBytes, seedSentBytes, cpuSeconds, wrong } = typical
    // What crosses the links is measured against what had to: the chunks that are new.
    const delta = { bytes: changed }
    const over = (receivedBytes / (options.nodes - 1) / changed).toFixed(3)
    const line =
      `${where}, ${(changed / 2 ** 20).toFixed(1)} MiB of chunks changed: ` +
      `${timed(seconds, delta, options)} of those, each received ${over} × them, ` +
      `seed gave ${copies(seedSentBytes, delta)} of them, ${cpuSeconds.toFixed(1)} s of CPU, ` +
      verdict(wrong)
    return { line, wrong }
  },
}
