import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { temporaryDirectory } from './fixtures/temporary-directory.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

async function filesBelow(directory: string): Promise<Map<string, string>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = entries
    .filter((it) => it.isFile())
    .map((it) => join(it.parentPath, it.name))
    .toSorted()
  const contents = await Promise.all(files.map((it) => readFile(it, 'utf8')))
  return new Map(files.map((file, i) => [file.slice(directory.length), contents[i]!]))
}

test('src/generated is what `npm run generate` makes of protos/', async () => {
  await using directory = await temporaryDirectory()
  const template = await readFile(join(ROOT, 'protos/buf.gen.yaml'), 'utf8')
  const target = join(directory.path, 'generated')
  expect(template).toContain('out: ../src/generated')
  const moved = template.replace('out: ../src/generated', `out: ${target}`)
  const { scripts } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'))
  expect(scripts.generate).toMatch(/^cd protos && buf generate &&/)
  const bin = join(ROOT, 'node_modules/.bin')
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` }
  // Buf takes a template's text as well as the name of its file.
  const generating = ['generate', '--template', moved]
  await promisify(execFile)(join(bin, 'buf'), generating, { cwd: join(ROOT, 'protos'), env })
  const [made, committed] = [
    await filesBelow(target),
    await filesBelow(join(ROOT, 'src/generated')),
  ]
  expect(made.size).toBeGreaterThan(3)
  committed.delete('/limits.ts') // made of src/, not of protos/
  expect([...made.keys()]).toEqual([...committed.keys()])
  for (const [file, text] of made) expect(text, file).toBe(committed.get(file))
})
