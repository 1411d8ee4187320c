import { execFileSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/foundation/system-clock.ts'
import { SftpCacheFiles, type SftpCacheInit } from '../../src/upstream/sftp-cache-files.ts'
import { parseUpstreamUrl } from '../../src/upstream/upstream-url.ts'
import { faultOf } from '../contracts/cache-files-contract.ts'
import { until } from '../fixtures/await-peers.ts'
import { allBytes, call, noise } from '../fixtures/content.ts'
import { failingCache } from '../fixtures/failing-cache.ts'
import { SSHD_MISSING, type Sshd, startSshd } from '../fixtures/sshd.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'

const stack = new AsyncDisposableStack()
let directory: string
let sshd: Sshd

beforeAll(async () => {
  directory = stack.use(await temporaryDirectory()).path
  await writeFile(join(directory, 'x'), 'hello')
  if (SSHD_MISSING === undefined) sshd = stack.use(await startSshd(directory))
})
afterAll(() => stack.disposeAsync())

function opened(
  fields: Partial<SftpCacheInit> & { readonly at?: string } = {},
): SftpCacheFiles & AsyncDisposable {
  const at = fields.at ?? `root@127.0.0.1:${sshd.port}`
  const { location, name } = parseUpstreamUrl(`sftp://${at}${directory}?ssh-key=${sshd.keyFile}`)
  if (location.kind !== 'sftp') throw new Error('no URL of SFTP')
  const knownHostsFiles = [sshd.knownHostsFile]
  const init = { location, name, knownHostsFiles, ...fields }
  const files = new SftpCacheFiles({ clock: systemClock }, init)
  return Object.assign(files, { [Symbol.asyncDispose]: () => files.close() })
}

interface Relay extends AsyncDisposable {
  readonly port: number
  /** Ends all connections that there are. */
  cut(): void
}

/** Passes connections on to another port, for as long as it likes. */
async function startRelay(to: number): Promise<Relay> {
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(to, '127.0.0.1')
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => undefined) // told by the close that follows
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
      socket.pipe(other)
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    [Symbol.asyncDispose]: async () => {
      cut()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function known(name: string, text: string): Promise<string> {
  const path = join(directory, name)
  await writeFile(path, text)
  return path
}

describe.skipIf(SSHD_MISSING)(`a cache by SFTP${SSHD_MISSING ?? ''}`, () => {
  test('of a host that nobody knows is refused, with words that say how to know it', async () => {
    const file = await known('nobody', '')
    await using files = opened({ knownHostsFiles: [file] })
    const asked = files.get('x', call)
    await expect(asked).rejects.toThrow(`ssh-keyscan -p ${sshd.port} 127.0.0.1 >> ${file}`)
    expect(await faultOf(asked)).toBe('refused')
    await using gone = opened({ knownHostsFiles: [join(directory, 'not-there')] })
    expect(await faultOf(gone.get('x', call))).toBe('refused')
  })

  test('of a host that has another key than it had is refused', async () => {
    const other = join(directory, 'other')
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', other])
    const key = await readFile(`${other}.pub`, 'utf8')
    const file = await known('changed', `[127.0.0.1]:${sshd.port} ${key}`)
    await using files = opened({ knownHostsFiles: [file] })
    const asked = files.get('x', call)
    await expect(asked).rejects.toThrow('does not have the key that is known of it')
    expect(await faultOf(asked)).toBe('refused')
  })

  test('of a host that does not know us is refused', async () => {
    const stranger = join(directory, 'stranger')
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', stranger])
    const locked = join(directory, 'locked')
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'a phrase', '-f', locked])
    for (const keyFile of [stranger, locked, join(directory, 'absent')]) {
      const { location } = parseUpstreamUrl(
        `sftp://root@127.0.0.1:${sshd.port}${directory}?ssh-key=${keyFile}`,
      )
      if (location.kind !== 'sftp') throw new Error('no URL of SFTP')
      await using files = opened({ location })
      expect(await faultOf(files.get('x', call)), keyFile).toBe('refused')
    }
  })

  test('that can not be reached, or says nothing, is given up', async () => {
    const knownHostsFiles = [await known('wild', `[*]:* ${sshd.hostKey}\n`)]
    await using nobody = opened({ at: 'root@127.0.0.1:1', knownHostsFiles })
    expect(await faultOf(nobody.get('x', call))).toBe('unreachable')
    await using nowhere = opened({ at: 'root@name.invalid:23', knownHostsFiles })
    expect(await faultOf(nowhere.get('x', call))).toBe('unreachable')
    await using silent = await failingCache(() => undefined)
    const at = `root@127.0.0.1:${silent.port}`
    await using hole = opened({ at, knownHostsFiles, connectMs: 200 })
    expect(await faultOf(hole.get('x', call))).toBe('unreachable')
  })

  test('goes on after its connections were lost, within a file too', async () => {
    const bytes = noise(8_000_000)
    await writeFile(join(directory, 'long'), bytes)
    await using relay = await startRelay(sshd.port)
    const knownHostsFiles = [await known('relay', `[*]:* ${sshd.hostKey}\n`)]
    await using files = opened({ at: `root@127.0.0.1:${relay.port}`, knownHostsFiles })
    const pieces: Uint8Array[] = []
    for await (const piece of (await files.get('long', call))!.bytes) {
      if (pieces.push(piece) === 10) relay.cut()
    }
    expect(Buffer.compare(Buffer.concat(pieces), bytes)).toBe(0)
    relay.cut()
    // What noticed it first fails, or has noticed it before.
    await until(async () => (await faultOf(files.has('x', call))) === 'none')
    expect(String(await allBytes((await files.get('x', call))!.bytes))).toBe('hello')
  })
})
