import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pathNamed } from '../fixtures/claims.ts'
import { noise } from '../fixtures/content.ts'
import {
  type DaemonProcess,
  freePorts,
  startDaemon,
  withoutOptions,
} from '../fixtures/daemon-process.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { ENTRY, runCairn } from './run-cairn.ts'

const LARGE = noise(3_000_000, 'large')

const stack = new AsyncDisposableStack()
let node: DaemonProcess
let path: string

beforeAll(async () => {
  const { path: directory } = stack.use(await temporaryDirectory())
  node = stack.use(await startDaemon({ args: ['--no-mdns'] }))
  const tree = join(directory, 'tree')
  await mkdir(join(tree, 'bin'), { recursive: true })
  await writeFile(join(tree, 'bin', 'hello'), '#!/bin/sh\n', { mode: 0o755 })
  await writeFile(join(tree, 'large'), LARGE)
  await writeFile(join(tree, 'doc'), 'some words')
  await symlink('bin/hello', join(tree, 'link'))
  await symlink('../../etc/passwd', join(tree, 'out'))
  await writeFile(Buffer.concat([Buffer.from(`${tree}/odd-`), Buffer.from([0xff])]), 'odd')
  path = (await cairn('import', tree)).stdout.trim()
})
afterAll(() => stack.disposeAsync())

const cairn = (...args: string[]) => runCairn(args, { env: { CAIRN_RPC: node.rpc } })

/** The bytes that `cairn cat` wrote, which need not be text. */
async function catBytes(...args: string[]): Promise<Buffer> {
  const { code, stdout, stderr } = await cairn('cat', '--json', ...args)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return Buffer.from(JSON.parse(stdout).base64, 'base64')
}

describe('cairn cat', () => {
  test('writes a file, or a range of it, and nothing behind its end', async () => {
    const doc = `${path}/doc`
    expect(await cairn('cat', doc)).toEqual({ code: 0, stdout: 'some words', stderr: '' })
    for (const [args, expected] of [
      [['--offset', '5'], 'words'],
      [['--length', '4'], 'some'],
      [['--offset', '2', '--length', '5'], 'me wo'],
      [['--offset', '5', '--length', '100'], 'words'],
      [['--offset', '10'], ''],
      [['--offset', '99999999999'], ''],
      [['--length', '0'], ''],
    ] as const) {
      const { code, stdout, stderr } = await cairn('cat', ...args, doc)
      expect({ args, code, stdout, stderr }).toEqual({
        args,
        code: 0,
        stdout: expected,
        stderr: '',
      })
    }
  })

  test('writes bytes as they are', async () => {
    const child = spawn(process.execPath, [ENTRY, 'cat', `${path}/large`, '--rpc', node.rpc])
    const pieces: Buffer[] = []
    for await (const piece of child.stdout) pieces.push(piece)
    expect(Buffer.concat(pieces).equals(LARGE)).toBe(true)
    const part = await catBytes('--offset', '1500000', '--length', '70000', `${path}/large`)
    expect(part.equals(LARGE.subarray(1_500_000, 1_570_000))).toBe(true)
  })

  test('tells JSON what it read', async () => {
    const { stdout } = await cairn('cat', '--json', '--offset', '5', `${path}/doc`)
    expect(JSON.parse(stdout)).toEqual({
      ...{ path: `${path}/doc`, offset: 5, length: 5 },
      base64: Buffer.from('words').toString('base64'),
    })
  })

  test('follows symlinks within the store path, and no further', async () => {
    expect((await cairn('cat', `${path}/link`)).stdout).toBe('#!/bin/sh\n')
    const out = await cairn('cat', `${path}/out`)
    expect(out).toMatchObject({ code: 1, stdout: '' })
    expect(out.stderr).toContain('leads out of the store path')
  })

  test('reads names that are no UTF-8, as they are shown', async () => {
    expect(String(await catBytes(`${path}/odd-\\xff`))).toBe('odd')
  })

  test('says what is wrong, in one line', async () => {
    for (const [args, code, words] of [
      [[path], 1, 'it is a directory; `cairn ls` tells what is in it'],
      [[`${path}/nothing`], 1, 'there is no nothing in it'],
      [[`${path}/doc/x`], 1, 'is no directory'],
      [[`${pathNamed('absent')}/x`], 1, 'nobody who is reached has'],
      [['/etc/passwd'], 2, 'a store path begins with /nix/store/'],
      [['--offset', '-1', path], 2, 'it is a number of bytes'],
      [['--length', '1.5', path], 2, 'it is a number of bytes'],
      [['--length', '99999999999999999999', path], 2, 'it is a number of bytes'],
    ] as const) {
      const outcome = await cairn('cat', ...args)
      expect({ args, code: outcome.code, stdout: outcome.stdout }).toEqual({
        args,
        code,
        stdout: '',
      })
      expect(outcome.stderr).toContain(words)
      if (code === 1) expect(outcome.stderr).toMatch(/^cairn: .+\n$/)
    }
  })

  test('ends quietly when nobody reads on', async () => {
    for (const args of [
      ['cat', `${path}/large`],
      ['ls', '-R', path],
    ]) {
      const env = withoutOptions(process.env)
      const child = spawn(process.execPath, [ENTRY, ...args, '--rpc', node.rpc], { env })
      const closed = once(child, 'close')
      let stderr = ''
      child.stderr.on('data', (part) => {
        stderr += part
      })
      await once(child.stdout, 'data')
      child.stdout.destroy()
      const [code] = await closed
      expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: '' })
    }
  })
})

describe('cairn ls', () => {
  const names = ['bin', 'doc', 'large', 'link', 'odd-', 'out']

  test('lists a directory, a name to a line, its bytes as they are', async () => {
    const { code, stdout, stderr } = await cairn('ls', path)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toBe(`${names.join('\n').replace('odd-', 'odd-\ufffd')}\n`)
    expect((await cairn('ls', `${path}/bin`)).stdout).toBe('hello\n')
    expect((await cairn('ls', `${path}/doc`)).stdout).toBe(`${path}/doc\n`)
  })

  test('lists all below it', async () => {
    const { stdout } = await cairn('ls', '--recursive', path)
    expect(stdout.split('\n').slice(0, 3)).toEqual(['bin', 'bin/hello', 'doc'])
    expect((await cairn('ls', '-R', path)).stdout).toBe(stdout)
  })

  test('says what each is', async () => {
    const { stdout } = await cairn('ls', '-lR', path)
    expect(stdout).toMatch(/^dr-xr-xr-x {20}- bin$/m)
    expect(stdout).toMatch(/^-r-xr-xr-x {19}10 bin\/hello$/m)
    expect(stdout).toMatch(/^-r--r--r-- {14}3000000 large$/m)
    expect(stdout).toMatch(/^lrwxrwxrwx {20}- link -> bin\/hello$/m)
  })

  test('tells it to machines in one line', async () => {
    const { stdout } = await cairn('ls', '--json', path)
    expect(stdout.indexOf('\n')).toBe(stdout.length - 1)
    expect(JSON.parse(stdout)).toEqual([
      { path: 'bin', type: 'directory' },
      { path: 'doc', type: 'regular', size: 10, executable: false },
      { path: 'large', type: 'regular', size: LARGE.length, executable: false },
      { path: 'link', type: 'symlink', target: 'bin/hello' },
      {
        ...{ path: 'odd-\\xff', pathBytes: Buffer.from('odd-\xff', 'latin1').toString('base64') },
        ...{ type: 'regular', size: 3, executable: false },
      },
      { path: 'out', type: 'symlink', target: '../../etc/passwd' },
    ])
    const link = await cairn('ls', '--json', `${path}/link`)
    expect(JSON.parse(link.stdout)).toEqual([{ path: '', type: 'symlink', target: 'bin/hello' }])
  })

  test('says what is wrong', async () => {
    for (const [args, code, words] of [
      [[`${path}/nothing`], 1, 'there is no nothing in it'],
      [[`${path}/out/x`], 1, 'leads out of the store path'],
      [[pathNamed('absent').toString()], 1, 'nobody who is reached has'],
      [['/nix'], 2, 'a store path begins with /nix/store/'],
      [[], 2, 'missing required argument'],
    ] as const) {
      const outcome = await cairn('ls', ...args)
      expect({ args, code: outcome.code, stdout: outcome.stdout }).toEqual({
        args,
        code,
        stdout: '',
      })
      expect(outcome.stderr).toContain(words)
    }
    expect(JSON.parse((await cairn('ls', '--json', `${path}/bin/hello`)).stdout)).toHaveLength(1)
  })
})

test('where no node answers, both say so', async () => {
  const [port] = await freePorts(1)
  for (const command of ['cat', 'ls']) {
    const outcome = await cairn(command, path, '--rpc', `127.0.0.1:${port}`)
    expect(outcome).toMatchObject({ code: 3, stdout: '' })
  }
})
