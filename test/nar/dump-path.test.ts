import { execFileSync, spawnSync } from 'node:child_process'
import { appendFile, chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { dumpPath } from '../../src/nar/dump-path.ts'
import { allBytes, call, collect, noise } from '../fixtures/content.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { COMPLICATED, directory, file, narOf, type Tree } from './trees.ts'

const hasNixStore = spawnSync('nix-store', ['--version']).status === 0
if (!hasNixStore) console.log('skipped: comparison with nix-store --dump, there is no nix-store')

/** Writes a tree to disk. */
async function restore(tree: Tree, path: Buffer): Promise<void> {
  switch (tree.type) {
    case 'file':
      await writeFile(path, tree.content)
      await chmod(path, tree.executable ? 0o755 : 0o644)
      return
    case 'symlink':
      await symlink(Buffer.from(tree.target), path)
      return
    case 'directory':
      await mkdir(path)
      for (const [name, node] of tree.entries) {
        await restore(node, Buffer.concat([path, Buffer.from('/'), name]))
      }
  }
}

/** A tree with all that is hard to get right. */
function awkwardTree(): Tree {
  const small: Record<string, Tree> = {}
  for (let i = 0; i < 300; i++) small[`${i}`] = file(noise(i * 11, i))
  const entries: [string, Tree][] = [
    ['b', file('b')],
    ['B', file('B')],
    ['a b', file('', true)],
    ['a', directory({ 'x.y': file('1'), x: directory({}), 'x-y': file('2') })],
    ['ä', file('umlaut')],
    ['\u{1f600}', file('beyond the plane')],
    ['\uffff', file('sorted otherwise in UTF-16')],
    ['empty', directory({})],
    ['large', file(noise(3_000_000), true)],
    ['small', directory(small)],
    ['dangling', { type: 'symlink', target: Buffer.from('no/where') }],
    ['bytes', { type: 'symlink', target: Buffer.from('caf\xe9', 'latin1') }],
    ['loop', { type: 'symlink', target: Buffer.from('.') }],
    ['limit', file(noise(128 * 1024))],
    ['beyond', file(noise(128 * 1024 + 1))],
  ]
  const named = entries.map(([name, tree]) => [Buffer.from(name), tree] as const)
  return {
    type: 'directory',
    entries: [...named, [Buffer.from('latin1-\xe9', 'latin1'), file('no UTF-8')]],
  }
}

describe('the NAR of a path', () => {
  test.each<[string, Tree]>([
    ['a file', file('Hello World!')],
    ['an executable', file('#!/bin/sh\n', true)],
    ['an empty file', file('')],
    ['a large file', file(noise(5_000_001))],
    ['a symlink', { type: 'symlink', target: Buffer.from('/nix/store/somewhereelse') }],
    ['an empty directory', directory({})],
    ['a tree', COMPLICATED],
    ['an awkward tree', awkwardTree()],
  ])('is right for %s', async (_, tree) => {
    await using place = await temporaryDirectory()
    const path = Buffer.from(join(place.path, 'root'))
    await restore(tree, path)
    const nar = await allBytes(dumpPath(path, call))
    expect(nar.equals(narOf(tree))).toBe(true)
  })

  test.skipIf(!hasNixStore)('is what nix-store --dump writes', async () => {
    await using place = await temporaryDirectory()
    const path = join(place.path, 'root')
    await restore(awkwardTree(), Buffer.from(path))
    const options = { maxBuffer: 64 * 1024 * 1024 }
    const expected = execFileSync('nix-store', ['--dump', path], options)
    expect((await allBytes(dumpPath(path, call))).equals(expected)).toBe(true)
  })

  test('comes in few pieces', async () => {
    await using place = await temporaryDirectory()
    const path = join(place.path, 'root')
    await restore(awkwardTree(), Buffer.from(path))
    expect((await collect(dumpPath(path, call))).length).toBeLessThan(20)
  })

  test('only the owner makes a file executable', async () => {
    await using place = await temporaryDirectory()
    const path = join(place.path, 'file')
    await writeFile(path, 'x')
    await chmod(path, 0o655)
    expect(await allBytes(dumpPath(path, call))).toEqual(narOf(file('x', false)))
    await chmod(path, 0o744)
    expect(await allBytes(dumpPath(path, call))).toEqual(narOf(file('x', true)))
  })
})

describe('no NAR is made', () => {
  test('of what is not there', async () => {
    await expect(collect(dumpPath('/nowhere/at/all', call))).rejects.toMatchObject({
      fault: { code: 'path-unreadable', path: '/nowhere/at/all' },
      cause: { code: 'ENOENT' },
    })
  })

  test('of a socket or a device', async () => {
    await using place = await temporaryDirectory()
    const path = join(place.path, 'socket')
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(path, resolve))
    const unsupported = { code: 'path-unsupported', path }
    await expect(collect(dumpPath(place.path, call))).rejects.toMatchObject({ fault: unsupported })
    await expect(collect(dumpPath(path, call))).rejects.toMatchObject({ fault: unsupported })
    await new Promise((resolve) => server.close(resolve))
    await expect(collect(dumpPath('/dev/null', call))).rejects.toMatchObject({
      fault: { code: 'path-unsupported' },
    })
  })

  test('of a file that grows while it is read', async () => {
    await using place = await temporaryDirectory()
    const path = join(place.path, 'file')
    await writeFile(path, noise(8_000_000))
    const reading = async (): Promise<void> => {
      let first = true
      for await (const _piece of dumpPath(path, call)) {
        if (first) await appendFile(path, 'more')
        first = false
      }
    }
    await expect(reading()).rejects.toMatchObject({ fault: { code: 'path-changed', path } })
  })

  test('of a file that shrinks while it is read', async () => {
    await using place = await temporaryDirectory()
    const path = join(place.path, 'file')
    await writeFile(path, noise(8_000_000))
    const reading = async (): Promise<void> => {
      let first = true
      for await (const _piece of dumpPath(path, call)) {
        if (first) await writeFile(path, 'less')
        first = false
      }
    }
    await expect(reading()).rejects.toMatchObject({ fault: { code: 'path-changed', path } })
  })

  test('of a file whose size is not what it holds', async () => {
    // Files of /proc say that they are empty.
    await expect(collect(dumpPath('/proc/self/status', call))).rejects.toMatchObject({
      fault: { code: 'path-changed' },
    })
  })

  test('of more levels than Nix takes', async () => {
    await using place = await temporaryDirectory()
    const path = join(place.path, ...Array<string>(64).fill('d'))
    await mkdir(path, { recursive: true })
    const allowed = join(place.path, 'd')
    expect((await allBytes(dumpPath(allowed, call))).length).toBeGreaterThan(0)
    await writeFile(join(path, 'deep'), '')
    await expect(collect(dumpPath(allowed, call))).rejects.toMatchObject({
      fault: { code: 'too-deep' },
    })
  })

  test('for an aborted call', async () => {
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(collect(dumpPath('/etc', { signal }))).rejects.toThrow('enough')
  })
})
