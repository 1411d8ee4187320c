import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { runCairn } from './run-cairn.ts'

/** Packages that only a daemon needs, and that take longer to load than most commands to run. */
const OF_THE_DAEMON = /node_modules\/(zod|libp2p|@libp2p|@multiformats|level|fastify)\//

test('other commands than the daemon load nothing of what it alone needs', async () => {
  await using directory = await temporaryDirectory()
  const { code } = await runCairn(['--version'], { env: { NODE_V8_COVERAGE: directory.path } })
  expect(code).toBe(0)
  const files = await readdir(directory.path)
  const reports = await Promise.all(files.map((it) => readFile(join(directory.path, it), 'utf8')))
  const urls = reports.flatMap((it) => JSON.parse(it).result.map(({ url }: { url: string }) => url))
  expect(urls.filter((url) => url.includes('/src/cli/')).length).toBeGreaterThan(10)
  expect(urls.filter((url) => OF_THE_DAEMON.test(url))).toEqual([])
})
