import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm, stat } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { freePorts, withoutOptions } from '../fixtures/daemon-process.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { testGateway } from './test-gateway.ts'
import { hashText, NAR, NAR_INFO_PATH, narInfo } from './uploading.ts'

const ENTRY = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

async function overSocket(
  socketPath: string,
  path: string,
  init: { readonly method?: string; readonly body?: Uint8Array | string } = {},
): Promise<{ status: number; body: Buffer }> {
  const { method = 'GET', body } = init
  const asked = request({ socketPath, path, method, agent: new Agent() }).end(body)
  const [answer] = await once(asked, 'response')
  const parts: Buffer[] = []
  for await (const part of answer) parts.push(part)
  return { status: answer.statusCode, body: Buffer.concat(parts) }
}

test('at a Unix socket, whoever may open it is the owner; the file goes with the gateway', async () => {
  await using directory = await temporaryDirectory()
  const socketPath = join(directory.path, 'gateway.sock')
  {
    await using gateway = await testGateway({ socketPath })
    expect(gateway.url).toBe(`unix:${socketPath}`)
    const name = `/nar/${hashText(NAR)}.nar`
    const put = (path: string, body: Uint8Array | string) =>
      overSocket(socketPath, path, { method: 'PUT', body })
    expect((await put(name, NAR)).status).toBe(204)
    expect((await put(NAR_INFO_PATH, narInfo())).status).toBe(204)
    const info = await overSocket(socketPath, NAR_INFO_PATH)
    const [, url] = /^URL: (.*)$/m.exec(info.body.toString())!
    expect((await overSocket(socketPath, `/${url}`)).body.equals(NAR)).toBe(true)
  }
  await expect(stat(socketPath)).rejects.toThrow('ENOENT')
})

test('a socket that was handed over by the service manager is served', async () => {
  await using directory = await temporaryDirectory()
  const [rpc, listen] = await freePorts(2)
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  // A shell sets LISTEN_PID to its own id and becomes the node, as systemd does it.
  const script = 'LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=gateway exec "$@"'
  const flags = ['--state', directory.path, '--no-mdns', '--gateway', 'systemd:gateway']
  const places = ['--rpc', `127.0.0.1:${rpc}`, '--listen', `/ip4/127.0.0.1/tcp/${listen}`]
  const command = [process.execPath, ENTRY, 'daemon', ...flags, ...places]
  const handle = (server as unknown as { _handle: { fd: number } })._handle
  const child = spawn('/bin/sh', ['-c', script, 'sh', ...command], {
    env: withoutOptions({ ...process.env, XDG_CONFIG_HOME: directory.path }),
    stdio: ['ignore', 'pipe', 'pipe', handle.fd],
  })
  server.close() // the child has its own
  let log = ''
  child.stdout!.on('data', (part) => {
    log += part
  })
  child.stderr!.on('data', (part) => {
    log += part
  })
  const gone = once(child, 'exit')
  try {
    // Who connects before the node runs waits in the socket's queue, and is answered then.
    const response = await Promise.race([
      fetch(`http://127.0.0.1:${port}/nix-cache-info`),
      gone.then(() => Promise.reject(new Error(`the node has ended: ${log}`))),
    ])
    expect(await response.text()).toContain('StoreDir: /nix/store')
    child.kill('SIGTERM')
    expect(await gone).toEqual([0, null])
  } finally {
    child.kill('SIGKILL')
    await rm(join(directory.path, 'store'), { recursive: true, force: true })
  }
})
