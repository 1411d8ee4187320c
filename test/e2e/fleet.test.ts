import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { connectNode } from '../../src/daemon/client.ts'
import { runCairn } from '../cli/run-cairn.ts'
import { until } from '../fixtures/await-peers.ts'
import { call } from '../fixtures/content.ts'
import { startDaemon } from '../fixtures/daemon-process.ts'
import { buildNixClosure, nix, nixMissing } from '../fixtures/nix-closure.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'

const MIB = 1024 * 1024

/** What the cache sends in a second, in bytes. */
const LINE_BYTES = 8 * MIB

const NODES = 4

const skipped = nixMissing()
const why = skipped === undefined ? '' : ` (${skipped})`

/** A cache behind one thin line, which counts what of NARs it sends. */
async function thinCache(root: string) {
  let narBytes = 0
  let freeAtMs = performance.now()
  const server = createServer(async (request, response) => {
    const path = join(root, new URL(request.url!, 'http://cache').pathname)
    const found = await stat(path).catch(() => undefined)
    if (found?.isFile() !== true) return response.writeHead(404).end()
    response.writeHead(200, { 'content-length': found.size })
    for await (const piece of createReadStream(path, { highWaterMark: 64 * 1024 })) {
      if (path.includes('/nar/')) narBytes += piece.length
      freeAtMs = Math.max(freeAtMs, performance.now()) + (1000 * piece.length) / LINE_BYTES
      await sleep(Math.max(0, freeAtMs - performance.now()))
      response.write(piece)
      if (response.writableNeedDrain) await next(response)
      if (response.destroyed) return response
    }
    return response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  return {
    url: `http://127.0.0.1:${port}`,
    narBytes: () => narBytes,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Resolves when a response takes more, or nobody reads it any more. */
async function next(response: ServerResponse): Promise<void> {
  const over = new AbortController()
  const events = ['drain', 'close'].map((it) => once(response, it, over).catch(() => undefined))
  await Promise.race(events)
  over.abort()
}

test.skipIf(skipped)(
  `a fleet with nothing but a plain cache takes little more than one copy of it${why}`,
  { timeout: 120_000 },
  async () => {
    await using stack = new AsyncDisposableStack()
    const { path: directory } = stack.use(await temporaryDirectory())
    const size = { paths: 16, bigFileBytes: 24 * MIB, smallFiles: 200 }
    const closure = stack.use(await buildNixClosure(directory, size))
    const key = await closure.sign('cache-1')
    const root = join(directory, 'cache')
    await nix('nix', ['copy', '--to', `file://${root}?compression=none`, closure.top])
    const nars = await readdir(join(root, 'nar'))
    const sizes = await Promise.all(
      nars.map(async (it) => (await stat(join(root, 'nar', it))).size),
    )
    const copy = sizes.reduce((sum, bytes) => sum + bytes, 0)
    const cache = stack.use(await thinCache(root))
    const flags = ['--no-mdns', '--upstream', cache.url, '--trusted-key', key.publicKey]
    const first = stack.use(await startDaemon({ args: flags }))
    const others = await Promise.all(
      Array.from({ length: NODES - 1 }, async () =>
        stack.use(await startDaemon({ args: [...flags, '--bootstrap', first.listen] })),
      ),
    )
    const nodes = [first, ...others]
    for (const { rpc } of nodes) {
      const client = stack.use(connectNode(rpc))
      await until(async () => (await client.peers(call)).length >= NODES - 1)
    }
    const outcomes = await Promise.all(
      nodes.map(({ rpc }) =>
        runCairn(['fetch', '--json', closure.top], { env: { CAIRN_RPC: rpc } }),
      ),
    )
    for (const { code, stdout, stderr } of outcomes) {
      expect({ code, stderr }, nodes.map((it) => it.log()).join('\n---\n')).toEqual({
        code: 0,
        stderr: '',
      })
      expect(JSON.parse(stdout)).toMatchObject({ pathsDone: closure.paths.length, failures: [] })
    }
    // Four copies, if each had pulled for itself.
    expect(cache.narBytes() / copy).toBeLessThan(1.5)
  },
)
