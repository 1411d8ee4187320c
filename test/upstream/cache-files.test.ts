import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { systemClock } from '../../src/foundation/system-clock.ts'
import type { CacheFiles } from '../../src/upstream/cache-files.ts'
import { Netrc } from '../../src/upstream/netrc.ts'
import { openCacheFiles } from '../../src/upstream/open-cache-files.ts'
import { SftpCacheFiles } from '../../src/upstream/sftp-cache-files.ts'
import { parseUpstreamUrl } from '../../src/upstream/upstream-url.ts'
import { cacheFilesContract, type MadeCacheFiles } from '../contracts/cache-files-contract.ts'
import { NGINX_MISSING, type Served, startNginxCache } from '../fixtures/nginx-cache.ts'
import { BUCKET, S3_ENV, startS3Server } from '../fixtures/s3-server.ts'
import { SSHD_MISSING, type Sshd, startSshd } from '../fixtures/sshd.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'

const components = { clock: systemClock, netrc: Netrc.none() }

const stack = new AsyncDisposableStack()
let directory: string
let scenarios = 0
beforeAll(async () => {
  directory = stack.use(await temporaryDirectory()).path
})
afterAll(() => stack.disposeAsync())

function opened(url: string): CacheFiles {
  return openCacheFiles(components, parseUpstreamUrl(url), { env: {} })
}

function made(files: CacheFiles, elsewhere: CacheFiles): MadeCacheFiles {
  return { files, elsewhere, [Symbol.asyncDispose]: () => files.close() }
}

async function freshDirectory(): Promise<string> {
  const path = join(directory, `cache-${++scenarios}`)
  await mkdir(path)
  return path
}

describe('a directory', () => {
  cacheFilesContract('file', async () => {
    const path = await freshDirectory()
    return made(opened(`file://${path}`), opened(`file://${path}-elsewhere`))
  })
})

describe.skipIf(NGINX_MISSING)(`nginx${NGINX_MISSING ?? ''}`, () => {
  let nginx: Served
  beforeAll(async () => {
    nginx = stack.use(await startNginxCache(directory, directory))
  })
  cacheFilesContract('http', async () => {
    const path = (await freshDirectory()).slice(directory.length + 1)
    const url = `http://127.0.0.1:${nginx.port}/cache/${path}`
    return made(opened(url), opened('http://127.0.0.1:1/'))
  })
})

describe('a server that talks S3', () => {
  let server: Served
  beforeAll(async () => {
    server = stack.use(await startS3Server(directory))
    Object.assign(process.env, S3_ENV)
  })
  const make = async (): Promise<MadeCacheFiles> => {
    const at = `?endpoint=127.0.0.1:${server.port}&scheme=http`
    return made(opened(`s3://${BUCKET}/${++scenarios}${at}`), opened(`s3://other-bucket${at}`))
  }
  // s3rver keeps the beginning of an upload that broke off, which S3 does not.
  cacheFilesContract('s3', make, { wholeUploads: false })
})

describe.skipIf(SSHD_MISSING)(`OpenSSH${SSHD_MISSING ?? ''}`, () => {
  let sshd: Sshd
  beforeAll(async () => {
    sshd = stack.use(await startSshd(directory))
  })
  cacheFilesContract('sftp', async () => {
    const path = await freshDirectory()
    const files = (at: string): CacheFiles => {
      const url = `sftp://root@127.0.0.1:${sshd.port}${at}?ssh-key=${sshd.keyFile}`
      const { location, name } = parseUpstreamUrl(url)
      if (location.kind !== 'sftp') throw new Error('no URL of SFTP')
      const knownHostsFiles = [sshd.knownHostsFile]
      return new SftpCacheFiles(components, { location, name, knownHostsFiles })
    }
    return made(files(path), files(`${path}-elsewhere`))
  })
})
