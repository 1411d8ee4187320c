import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { CACHE_NIXOS_ORG_KEY } from '../../src/daemon/config.ts'
import { ConfigError } from '../../src/daemon/config-error.ts'
import { loadConfig } from '../../src/daemon/load-config.ts'
import { OPTIONS } from '../../src/daemon/options.ts'
import { SecretKey } from '../../src/nix/key.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'

const directory = await temporaryDirectory()
afterAll(() => directory[Symbol.asyncDispose]())
const file = join(directory.path, 'cairn.toml')

const KEYS = ['one-1', 'two-1', 'three-1'].map((name) => SecretKey.generate(name).publicKey())

async function problems(
  toml: string | undefined,
  env: Record<string, string> = {},
  flags: Record<string, unknown> = {},
): Promise<readonly string[]> {
  if (toml !== undefined) await writeFile(file, toml)
  const error = await loadConfig({ file: toml === undefined ? undefined : file, env, flags }).then(
    () => undefined,
    (thrown) => thrown,
  )
  expect(error).toBeInstanceOf(ConfigError)
  return error.problems
}

test('without anything there are defaults for all', async () => {
  const config = await loadConfig({ env: {}, flags: {} })
  expect(config).toMatchObject({
    gateway: { kind: 'tcp', host: '127.0.0.1', port: 9000 },
    rpc: { kind: 'tcp', host: 'localhost', port: 8000 },
    listen: ['/ip4/0.0.0.0/tcp/9001'],
    bootstrap: [],
    mdns: true,
    log: 'info',
  })
  expect(config.trusted_keys.map(String)).toEqual([CACHE_NIXOS_ORG_KEY])
  expect(config.signing_key).toBeUndefined()
})

test('flags count more than the environment, and that more than the file; lists are replaced', async () => {
  await writeFile(
    file,
    `state = "/file"
     gateway = "127.0.0.1:1"
     rpc = "127.0.0.1:1"
     mdns = false
     trusted_keys = ["${KEYS[0]}", "${KEYS[1]}"]
     bootstrap = ["/ip4/10.0.0.1/tcp/1"]`,
  )
  const env = {
    CAIRN_GATEWAY: '127.0.0.1:2',
    CAIRN_RPC: '[::1]:2',
    CAIRN_TRUSTED_KEYS: `${KEYS[1]} ${KEYS[2]}`,
    CAIRN_LOG: '',
  }
  const flags = { gateway: '127.0.0.1:3', trusted_keys: [`${KEYS[2]}`] }
  const config = await loadConfig({ file, env, flags })
  expect(config).toMatchObject({
    state: '/file',
    gateway: { kind: 'tcp', host: '127.0.0.1', port: 3 },
    rpc: { kind: 'tcp', host: '::1', port: 2 },
    mdns: false,
    bootstrap: ['/ip4/10.0.0.1/tcp/1'],
    log: 'info',
  })
  expect(config.trusted_keys.map(String)).toEqual([`${KEYS[2]}`])
  const fromEnv = await loadConfig({ file, env, flags: {} })
  expect(fromEnv.trusted_keys.map(String)).toEqual([`${KEYS[1]}`, `${KEYS[2]}`])
})

test.each(['1', 'true', 'yes', 'on', '0', 'false', 'no', 'off'])(
  'CAIRN_MDNS may be %s',
  async (text) => {
    const { mdns } = await loadConfig({ env: { CAIRN_MDNS: text }, flags: {} })
    expect(mdns).toBe(['1', 'true', 'yes', 'on'].includes(text))
  },
)

test('each option can come from each source, by the name that it has there', async () => {
  const texts: Record<keyof typeof OPTIONS, string> = {
    state: '/s',
    gateway: '127.0.0.1:7',
    rpc: '127.0.0.1:7',
    listen: '/ip4/127.0.0.1/tcp/7',
    bootstrap: '/ip4/127.0.0.1/tcp/7',
    mdns: 'false',
    announce: 'roots',
    announce_rate: '50kB',
    ahead: '16MiB',
    upstream: 'https://cache.example/',
    trusted_keys: `${KEYS[0]}`,
    signing_key: '/k',
    tokens: `ci:sha256:${'0a'.repeat(32)}`,
    'share.mode': 'all',
    'share.allow': 'hello-*',
    'share.deny': '*-secret*',
    'store.max_bytes': '50 GB',
    'store.max_age': '90d',
    'store.compression_level': '3',
    'peers.upload_rate': '2 MB/s',
    'peers.download_rate': '500kB',
    'adopt.follow': 'true',
    'adopt.paths': 'all',
    'adopt.root': '/srv/nix',
    'push.to': 's3://bucket',
    'push.compression': 'xz',
    log: 'debug',
  }
  const names = Object.keys(OPTIONS) as (keyof typeof OPTIONS)[]
  const env = Object.fromEntries(names.map((name) => [OPTIONS[name].env, texts[name]]))
  const fromEnv = await loadConfig({ env, flags: {} })
  const value = (name: keyof typeof OPTIONS): unknown => {
    if (texts[name] === 'true' || texts[name] === 'false') return texts[name] === 'true'
    return 'repeatable' in OPTIONS[name] ? [texts[name]] : texts[name]
  }
  const toml = names.map((name) => `${name} = ${JSON.stringify(value(name))}`).join('\n')
  await writeFile(file, toml)
  expect(await loadConfig({ file, env: {}, flags: {} })).toEqual(fromEnv)
  const flags = Object.fromEntries(names.map((name) => [name, value(name)]))
  expect(await loadConfig({ env: {}, flags })).toEqual(fromEnv)
})

test('a mistake in the file is told with its line and what would be right', async () => {
  const toml = `# a comment
state = "/s"

gateway = "9000"
trustd_keys = []
listen = ["somewhere"]
log = "loud"
mdns = "perhaps"
trusted_keys = ["one", "${KEYS[0]}"]
signing-key = "x"`
  const told = await problems(toml)
  expect(told).toHaveLength(7)
  for (const [line, words] of [
    [4, 'gateway is HOST:PORT, such as 127.0.0.1:9000, or unix:/PATH, or systemd:NAME, not "9000"'],
    [5, 'trustd_keys: there is no such key; did you mean trusted_keys?'],
    [6, 'listen is a multiaddress, such as /ip4/'],
    [7, 'log "loud" is no log level; silent, error, warn, info'],
    [8, 'mdns '],
    [9, 'trusted_keys is a public key as NAME:BASE64'],
    [10, 'signing-key: there is no such key; did you mean signing_key?'],
  ] as const) {
    expect(told.filter((it) => it.startsWith(`${file}:${line}: ${words}`))).toHaveLength(1)
  }
})

test('what is not TOML is told with its line', async () => {
  const [problem, ...more] = await problems('state = "/s"\nmdns = maybe\n')
  expect(problem).toMatch(`${file}:2: `)
  expect(more).toEqual([])
})

test('a file that is not there is told of, where it was asked for', async () => {
  const loading = loadConfig({ file: '/nowhere/cairn.toml', env: {}, flags: {} })
  await expect(loading).rejects.toThrow('/nowhere/cairn.toml can not be read')
})

test('a mistake in the environment is told with the variable', async () => {
  const env = { CAIRN_GATEWAY: 'x', CAIRN_TRUSTED_KEYS: 'no-key', CAIRN_LOG: 'info,bees=trace' }
  const told = await problems(undefined, { ...env, CAIRN_MDNS: 'perhaps' })
  expect(told).toHaveLength(4)
  expect(told.some((it) => it.startsWith('CAIRN_GATEWAY is HOST:PORT'))).toBe(true)
  expect(told.some((it) => it.startsWith('CAIRN_TRUSTED_KEYS is a public key'))).toBe(true)
  expect(told.some((it) => /^CAIRN_LOG "bees" is no part; .*peers/.test(it))).toBe(true)
  expect(told.some((it) => it.startsWith('CAIRN_MDNS '))).toBe(true)
})

test('a mistake in the flags is told with the flag', async () => {
  const told = await problems(
    'gateway = "fine, but not used"',
    {},
    {
      gateway: '127.0.0.1:70000',
      trusted_keys: ['no-key'],
      bootstrap: ['10.0.0.1:9001'],
      listen: [],
    },
  )
  expect(told).toHaveLength(4)
  for (const words of [
    '--gateway is HOST:PORT, such as 127.0.0.1:9000, or unix:/PATH, or systemd:NAME, not "127.0.0.1:70000"',
    '--trusted-key is a public key as NAME:BASE64',
    '--bootstrap is a multiaddress, such as /ip4/192.168.1.5/tcp/9001, not "10.0.0.1:9001"',
    '--listen ',
  ]) {
    expect(told.filter((it) => it.startsWith(words))).toHaveLength(1)
  }
})

test('upstream caches are told as URLs, or as tables with more to say of each', async () => {
  const toml = `[[upstream]]
url = "https://cache.example/nix"
priority = 30
trusted_keys = ["${KEYS[0]}"]
download_rate = "10MB"

[[upstream]]
url = "grpc+http://store:8000"
`
  await writeFile(file, toml)
  const { upstream } = await loadConfig({ file, env: {}, flags: {} })
  expect(upstream).toMatchObject([
    { url: { kind: 'cache', name: expect.stringContaining('cache.example') }, priority: 30 },
    { url: { kind: 'store', address: 'store:8000' }, share_pulls: true },
  ])
  expect(upstream[0]!.download_rate).toBe(10_000_000)
  const env = { CAIRN_UPSTREAM: 'https://one.example file:///srv/cache' }
  expect((await loadConfig({ env, flags: {} })).upstream).toHaveLength(2)
})

test('a mistake in one of several upstreams is told with its own line', async () => {
  const toml = `[[upstream]]
url = "https://cache.example"

[[upstream]]
priority = 0
url = "https://user:secret@cache.example/?x"

[[upstream]]
url = "ftp://cache.example"
urll = "x"
`
  await writeFile(file, toml)
  const error = await loadConfig({ file, env: {}, flags: {} }).catch((thrown: Error) => thrown)
  const text = String(error)
  expect(text).toContain(`${file}:5: upstream.1.priority`)
  expect(text).toContain(`${file}:9: upstream.2.url`)
  expect(text).toContain(`${file}:10: upstream.2.urll: there is no such key; did you mean url?`)
  expect(text).not.toContain('secret')
})
