import { execFileSync } from 'node:child_process'
import { mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FileCacheFiles } from '../../src/upstream/file-cache-files.ts'
import { bodyOf, faultOf } from '../contracts/cache-files-contract.ts'
import { allBytes, call, noise } from '../fixtures/content.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'

test('names do not lead out of the directory', async () => {
  await using directory = await temporaryDirectory()
  const cache = join(directory.path, 'cache')
  await mkdir(cache)
  await writeFile(join(directory.path, 'secret'), 'secret')
  const files = new FileCacheFiles({}, { directory: cache })
  for (const name of ['../secret', 'a/../../secret', '/etc/passwd', '..', '', 'a//b', 'a\0']) {
    expect(await faultOf(files.get(name, call)), name).toBe('bad-name')
    expect(await faultOf(files.has(name, call)), name).toBe('bad-name')
    expect(await faultOf(files.put(name, bodyOf(noise(1)), '', call)), name).toBe('bad-name')
  }
  expect(await readdir(directory.path)).toEqual(['cache', 'secret'])
})

test('what is no file is none, and nobody waits for it', async () => {
  await using directory = await temporaryDirectory()
  execFileSync('mkfifo', [join(directory.path, 'pipe')])
  await mkdir(join(directory.path, 'directory'))
  await symlink('nowhere', join(directory.path, 'dangling'))
  const files = new FileCacheFiles({}, { directory: directory.path })
  for (const name of ['pipe', 'directory', 'dangling', 'directory/x', 'pipe/x', 'x'.repeat(300)]) {
    expect(await files.get(name, call), name).toBeUndefined()
    expect(await files.has(name, call), name).toBe(false)
  }
})

test('an upload that breaks off leaves nothing behind', async () => {
  await using directory = await temporaryDirectory()
  const files = new FileCacheFiles({}, { directory: directory.path })
  const short = bodyOf(noise(10_000), 10_001)
  expect(await faultOf(files.put('x', short, '', call))).toBe('cut-off')
  expect(await readdir(directory.path)).toEqual([])
})

test('a file that is exchanged before it is read is not read', async () => {
  await using directory = await temporaryDirectory()
  const files = new FileCacheFiles({}, { directory: directory.path })
  await files.put('x', bodyOf(noise(10_000)), '', call)
  const file = await files.get('x', call)
  await files.put('x', bodyOf(noise(10_000, 'other')), '', call)
  expect(await faultOf(allBytes(file!.bytes))).toBe('cut-off')
  const gone = await files.get('x', call)
  await rm(join(directory.path, 'x'))
  expect(await faultOf(allBytes(gone!.bytes))).toBe('cut-off')
})
