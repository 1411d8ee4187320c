import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { OPTIONS } from '../../src/daemon/options.ts'
import { TokenHash } from '../../src/foundation/access-token.ts'
import { LIMITS } from '../../src/generated/limits.ts'
import { pathNamed } from '../fixtures/claims.ts'
import { type DaemonProcess, freePorts, startDaemon } from '../fixtures/daemon-process.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { ENTRY, runCairn } from './run-cairn.ts'

const stack = new AsyncDisposableStack()
let directory: string
let node: DaemonProcess

beforeAll(async () => {
  directory = stack.use(await temporaryDirectory()).path
  node = stack.use(await startDaemon({ args: ['--no-mdns'] }))
  await mkdir(join(directory, 'tree', 'empty'), { recursive: true })
  await writeFile(join(directory, 'tree', 'hello'), 'hello')
})
afterAll(() => stack.disposeAsync())

const cairn = (...args: string[]) => runCairn(args, { env: { CAIRN_RPC: node.rpc } })

const COMMANDS = [
  ...['daemon', 'import', 'fetch', 'ls', 'cat', 'share', 'unshare', 'status', 'peers', 'key'],
]
const SUBCOMMANDS = ['key generate', 'key public', 'key sign']

test('the help names every command, and shows examples', async () => {
  const { code, stdout, stderr } = await cairn('--help')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'))
  expect(stdout).toContain('Examples:\n  $ cairn ')
  expect(stdout).toContain('Exit codes: 0 done, 1 failed, 2 used wrongly, 3 no node answers.')
})

test.each([...COMMANDS.filter((it) => it !== 'key'), ...SUBCOMMANDS])(
  'cairn %s --help shows examples, in lines that fit',
  async (command) => {
    const { code, stdout, stderr } = await cairn(...command.split(' '), '--help')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('Examples:\n  $ ')
    expect(stdout).toContain(`cairn ${command}`)
    if (command !== 'daemon' && command !== 'key public') expect(stdout).toContain('--json')
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(110)
  },
)

test('the help of the daemon has every option, with its variable', async () => {
  const { stdout } = await cairn('daemon', '--help')
  for (const { flag, env } of Object.values(OPTIONS)) {
    expect(stdout).toContain(flag)
    expect(stdout).toContain(`(${env})`)
  }
})

test.each(['status', 'peers'])('cairn %s --json is one line of JSON', async (command) => {
  const { code, stdout, stderr } = await cairn(command, '--json')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout.indexOf('\n')).toBe(stdout.length - 1)
  const answer = JSON.parse(stdout)
  if (command === 'peers') expect(answer).toEqual([])
  else expect(answer).toMatchObject({ gateway: node.gatewayUrl, stateDirectory: node.state })
})

test('status and peers are told for people, too', async () => {
  const status = await cairn('status')
  expect(status.stdout).toMatch(/^gateway +http:\/\/127\.0\.0\.1:\d+$/m)
  expect(status.stdout).toMatch(/^signs with +none/m)
  expect((await cairn('peers')).stdout).toBe('nobody is connected\n')
})

test('import prints the path, and says where it stays alone', async () => {
  const tree = join(directory, 'tree')
  const { code, stdout, stderr } = await cairn('import', tree)
  expect(code).toBe(0)
  expect(stdout).toMatch(/^\/nix\/store\/[0-9a-z]{32}-tree\n$/)
  expect(stderr).toContain('It stays for this machine alone')
  expect(stderr).toContain('cairn key generate')
  const json = await cairn('import', '--json', '--name', 'other', tree)
  expect({ code: json.code, stderr: json.stderr }).toEqual({ code: 0, stderr: '' })
  expect(JSON.parse(json.stdout)).toEqual({
    path: tree,
    storePath: expect.stringMatching(/-other$/),
    narSize: expect.any(Number),
    shared: false,
  })
  const response = await fetch(`${node.gatewayUrl}/${stdout.slice(11, 43)}.narinfo`)
  expect(response.status).toBe(200)
})

test('several files are imported at once, each to a line', async () => {
  const paths = [join(directory, 'tree'), join(directory, 'tree', 'hello')]
  const { code, stdout } = await cairn('import', '--json', ...paths)
  expect(code).toBe(0)
  expect(
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).path),
  ).toEqual(paths)
})

test('what is held is fetched at once, and what nobody has fails with words', async () => {
  const held = (await cairn('import', join(directory, 'tree'))).stdout.trim()
  const fetched = await cairn('fetch', held)
  expect(fetched).toMatchObject({ code: 0, stderr: '' })
  expect(fetched.stdout).toContain('1 of 1 paths are here')
  const absent = pathNamed('absent').toString()
  const failed = await cairn('fetch', held, absent)
  expect(failed.code).toBe(1)
  expect(failed.stdout).toContain(`${absent}: nobody who is reached has`)
  expect(failed.stdout).toContain('1 of 2 paths are here')
  const json = await cairn('fetch', '--json', absent)
  expect(json).toMatchObject({ code: 1, stderr: '' })
  expect(json.stdout.indexOf('\n')).toBe(json.stdout.length - 1)
  expect(JSON.parse(json.stdout).failures).toEqual([
    expect.objectContaining({ storePath: absent, error: expect.stringContaining('nobody') }),
  ])
})

test.each([
  [[], 'Usage: cairn'],
  [['nonsense'], 'unknown command'],
  [['status', '--nonsense'], 'unknown option'],
  [['import'], 'missing required argument'],
  [['import', '--name', 'x', '/a', '/b'], '--name goes with a single path'],
  [['key'], 'Usage: cairn key'],
  [['key', 'sign', '/nix/store/x'], "required option '--key"],
  [['import', '--name', 'a b', '/'], 'the name of a store path is written with'],
  [['key', 'generate', 'no:name'], 'name'],
  [['fetch', '/nix/store/nonsense'], 'store path'],
  [['token'], 'Usage: cairn token'],
  [['token', 'generate', 'a b'], 'letters, digits'],
  [['fetch', 'nonsense'], 'a store path begins with /nix/store/'],
])('cairn %j is used wrongly', async (args, words) => {
  const { code, stdout, stderr } = await cairn(...args)
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toContain(words)
})

test('what fails is told in one line, without a stack', async () => {
  for (const args of [
    ['import', '/nowhere/at/all'],
    ['key', 'sign', '--key', '/nowhere', pathNamed('x').toString()],
  ]) {
    const { code, stdout, stderr } = await cairn(...args)
    expect({ args, code, stdout }).toEqual({ args, code: 1, stdout: '' })
    expect(stderr).toMatch(/^cairn: .+\n$/)
  }
})

test('all limits are shown, each with its value in a unit and with words', async () => {
  const { code, stdout } = await cairn('status', '--limits')
  expect(code).toBe(0)
  expect(stdout).toMatch(
    /^peers +64 MiB {2}How many bytes of chunks are read.+\(SERVING_BYTES_MAX\)$/m,
  )
  expect(stdout).toMatch(/^gateway +10 s {2}How long a client may take.+\(HEADERS_MS\)$/m)
  const json = JSON.parse((await cairn('status', '--limits', '--json')).stdout)
  expect(json).toEqual(LIMITS)
})

test('a token is made, and the node’s half of it fits the configuration', async () => {
  const { code, stdout } = await cairn('token', 'generate', 'ci', '--json')
  expect(code).toBe(0)
  const { token, hash } = JSON.parse(stdout)
  expect(TokenHash.parse(hash)?.toString()).toBe(TokenHash.of('ci', token).toString())
  expect((await cairn('token', 'generate', 'ci')).stdout).toMatch(
    /^token: .+\nfor cairn.toml: tokens = \["ci:sha256:/,
  )
})

test('where no node answers, that is said, with an exit code of its own', async () => {
  const [port] = await freePorts(1)
  for (const args of [
    ['status'],
    ['peers'],
    ['fetch', pathNamed('x').toString()],
    ['import', ENTRY],
  ]) {
    const { code, stdout, stderr } = await cairn(...args, '--rpc', `127.0.0.1:${port}`)
    expect({ args, code, stdout }).toEqual({ args, code: 3, stdout: '' })
    expect(stderr).toBe(
      `cairn: no cairn node answers at 127.0.0.1:${port}; is \`cairn daemon\` running?\n`,
    )
  }
})
