/*
 * npm run bench [-- start outboard import gateway fetch miss rpc store upkeep ranges pull load ingest
 * push crowd hostile-neighbours announce]: measures, and prints one table.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Figure, tableOf } from './figure.ts'
import { announceFigures } from './figures/announce-figures.ts'
import { crowdFigures } from './figures/crowd-figures.ts'
import { fetchFigures } from './figures/fetch-figures.ts'
import { gatewayFigures } from './figures/gateway-figures.ts'
import { hostileFigures } from './figures/hostile-figures.ts'
import { importFigures } from './figures/import-figures.ts'
import { ingestFigures } from './figures/ingest-figures.ts'
import { loadFigures } from './figures/load-figures.ts'
import { missFigures } from './figures/miss-figures.ts'
import { outboardFigures } from './figures/outboard-figures.ts'
import { pullFigures } from './figures/pull-figures.ts'
import { pushFigures } from './figures/push-figures.ts'
import { rangeFigures } from './figures/range-figures.ts'
import { rpcFigures } from './figures/rpc-figures.ts'
import { startFigures } from './figures/start-figures.ts'
import { storeFigures } from './figures/store-figures.ts'
import { upkeepFigures } from './figures/upkeep-figures.ts'
import { RUNS } from './measure.ts'
import { makeKey } from './nodes.ts'

const ALL = {
  start: startFigures,
  outboard: outboardFigures,
  import: importFigures,
  gateway: gatewayFigures,
  fetch: fetchFigures,
  miss: missFigures,
  rpc: rpcFigures,
  store: storeFigures,
  upkeep: upkeepFigures,
  ranges: rangeFigures,
  pull: pullFigures,
  load: loadFigures,
  ingest: ingestFigures,
  push: pushFigures,
  crowd: crowdFigures,
  'hostile-neighbours': hostileFigures,
  announce: announceFigures,
}

const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !(name in ALL))
if (unknown.length > 0) {
  console.error(`no such figures: ${unknown.join(', ')}; there are ${Object.keys(ALL).join(', ')}`)
  process.exit(2)
}

const scratch = await mkdtemp(join(tmpdir(), 'cairn-bench-'))
try {
  const key = await makeKey(scratch)
  const figures: Figure[] = []
  for (const [name, measure] of Object.entries(ALL)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    console.error(`measuring: ${name}`)
    figures.push(...(await measure(scratch, key)))
  }
  const machine = `${availableParallelism()} cores, ${cpus()[0]?.model.trim()}`
  console.log(`${machine}, Node ${process.versions.node}, medians of ${RUNS}\n`)
  console.log(tableOf(figures))
} finally {
  await rm(scratch, { recursive: true, force: true })
}
