import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { SecretKey } from '../../src/nix/key.ts'
import { type CachedPath, cachedPath } from '../fixtures/cached-path.ts'
import { noise } from '../fixtures/content.ts'

/** Every so many paths one is long, so that it is passed on while it comes. */
const LONG_EVERY = 12
const LONG_BYTES = 5 * 1024 * 1024

/** A binary cache whose paths come and go. */
export interface ChangingCache extends AsyncDisposable {
  readonly url: string
  /** Makes a path, which is there from now on. */
  come(number: number): CachedPath
  /** Takes a path away, or its NAR alone. */
  go(path: CachedPath, what?: 'NAR'): void
}

/** Starts one in this process. */
export async function changingCache(key: SecretKey): Promise<ChangingCache> {
  const files = new Map<string, Uint8Array | string>([['nix-cache-info', 'StoreDir: /nix/store\n']])
  const server = createServer((request, reply) => answer(reply, files.get(request.url!.slice(1))))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    come: (number) => {
      const bytes = number % LONG_EVERY === 0 ? LONG_BYTES : 1_000 + ((number * 7919) % 300_000)
      const path = cachedPath(key, `cached-${number}`, noise(bytes, number))
      files.set(narInfoOf(path), path.narInfo)
      files.set(narOf(path), path.nar)
      return path
    },
    go: (path, what) => {
      files.delete(narOf(path))
      if (what === undefined) files.delete(narInfoOf(path))
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function answer(reply: ServerResponse, body: Uint8Array | string | undefined): void {
  if (body === undefined) return void reply.writeHead(404).end()
  reply.writeHead(200, { 'content-length': body.length })
  reply.end(body)
}

function narInfoOf({ storePath }: CachedPath): string {
  return `${storePath.hashText}.narinfo`
}

function narOf({ storePath }: CachedPath): string {
  return `nar/${storePath.name}.nar`
}
