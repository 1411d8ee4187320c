import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { importViolations } from './architecture/import-rules.ts'
import { parsed, type SourceFile, type Violation } from './architecture/source-file.ts'
import { styleViolations } from './architecture/style-rules.ts'

const SRC = fileURLToPath(new URL('../src', import.meta.url))

/** All broken rules of the files, which are taken as the whole of src/. */
function violationsOf(files: readonly SourceFile[]): Violation[] {
  const trees = files.map(parsed)
  return [...importViolations(trees), ...trees.flatMap(styleViolations)]
}

/** What the rules say about one file: `line rule`, in the order found. */
function verdict(path: string, text: string, others: readonly SourceFile[] = []): string[] {
  return violationsOf([{ path, text }, ...others])
    .filter((it) => it.path === path)
    .map((it) => `${it.line} ${it.rule}`)
}

function sourceFiles(): SourceFile[] {
  return readdirSync(SRC, { recursive: true, withFileTypes: true })
    .filter((it) => it.isFile() && it.name.endsWith('.ts'))
    .map((it) => join(it.parentPath, it.name))
    .map((file) => ({
      path: relative(SRC, file).split(sep).join('/'),
      text: readFileSync(file, 'utf8'),
    }))
}

test('src keeps the rules of the house', () => {
  const files = sourceFiles()
  expect(files.length).toBeGreaterThan(20)
  const broken = violationsOf(files).map((it) => `src/${it.path}:${it.line} ${it.rule}: ${it.what}`)
  expect(broken, 'file:line rule: what').toEqual([])
})

describe('the import table', () => {
  const allowed: readonly (readonly [path: string, specifier: string])[] = [
    ['nix/a.ts', '../foundation/bytes.ts'],
    ['nix/a.ts', './b.ts'],
    ['castore/stores/a.ts', '../../foundation/bytes.ts'],
    ['nar/a.ts', '../castore/blob-store.ts'],
    ['nar/a.ts', '../nix/key.ts'],
    ['pathinfo/a.ts', '../castore/model/node.ts'],
    ['substitution/a.ts', '../pathinfo/path-info.ts'],
    ['peers/swarm/a.ts', '../../substitution/path-source.ts'],
    ['upstream/a.ts', '../substitution/path-source.ts'],
    ['gateway/a.ts', '../substitution/substituter.ts'],
    ['mount/a.ts', '../castore/blob-store.ts'],
    ['retention/a.ts', '../pathinfo/path-info.ts'],
    ['daemon/a.ts', '../peers/exchange/client.ts'],
    ['cli/a.ts', '../daemon/config.ts'],
    ['cli/a.ts', '../foundation/bytes.ts'],
    ['castore/a-codec.ts', '../generated/a.ts'],
    ['rpc/a.ts', '../generated/a.ts'],
    ['nix/a.ts', 'node:crypto'],
    ['index.ts', './daemon/create-node.ts'],
  ]
  test.each(allowed)('%s may import %s', (path, specifier) => {
    expect(verdict(path, `import { x } from '${specifier}'\nuse(x)\n`)).toEqual([])
  })

  const refused: readonly (readonly [path: string, specifier: string])[] = [
    ['foundation/a.ts', '../nix/key.ts'],
    ['nix/a.ts', '../castore/blob-store.ts'],
    ['castore/a.ts', '../nix/key.ts'],
    ['castore/a.ts', '../nar/reader.ts'],
    ['nar/a.ts', '../pathinfo/path-info.ts'],
    ['pathinfo/a.ts', '../nar/reader.ts'],
    ['substitution/a.ts', '../peers/peer-source.ts'],
    ['upstream/a.ts', '../peers/peer-source.ts'],
    ['peers/swarm/a.ts', '../../upstream/upstream-source.ts'],
    ['gateway/a.ts', '../peers/peer-source.ts'],
    ['gateway/a.ts', '../rpc/server.ts'],
    ['rpc/a.ts', '../upstream/upstream-source.ts'],
    ['mount/a.ts', '../retention/pins.ts'],
    ['retention/a.ts', '../peers/host.ts'],
    ['peers/a.ts', '../daemon/config.ts'],
    ['cli/a.ts', '../castore/blob-store.ts'],
    ['cli/a.ts', '../rpc/server.ts'],
    ['daemon/a.ts', '../index.ts'],
    ['index.ts', './castore/blob-store.ts'],
    ['nix/a.ts', '../../test/x.ts'],
    ['elsewhere/a.ts', './b.ts'],
  ]
  test.each(refused)('%s may not import %s', (path, specifier) => {
    const text = `// a line\nimport { x } from '${specifier}'\nuse(x)\n`
    expect(verdict(path, text)).toEqual([`${path.startsWith('else') ? 1 : 2} import-table`])
  })

  test.each([
    "import type { X } from '../peers/x.ts'",
    "import { type X } from '../peers/x.ts'",
    "import '../peers/x.ts'",
    "import * as x from '../peers/x.ts'",
    "export type { X } from '../peers/x.ts'",
    "const x = await import('../peers/x.ts')",
    "type X = import('../peers/x.ts').X",
    "type X = typeof import('../peers/x.ts')",
  ])('an import is found however it is written: %s', (text) => {
    expect(verdict('gateway/a.ts', `${text}\nconst own = 1\n`)).toContain('1 import-table')
  })

  test('what only looks like an import is none', () => {
    const text =
      "// import '../peers/x.ts'\nconst x = `import '../peers/x.ts'`\n/* from '../peers' */\n"
    expect(verdict('gateway/a.ts', text)).toEqual([])
  })

  test('index.ts takes types from anywhere', () => {
    expect(verdict('index.ts', "export type { X } from './peers/x.ts'\n")).toEqual([])
    expect(verdict('index.ts', "export { X } from './peers/x.ts'\n")).toEqual(['1 import-table'])
  })

  test('generated code is for codecs and rpc', () => {
    const text = "import type { X } from '../generated/a.ts'\ntype Y = X\n"
    expect(verdict('castore/a.ts', text)).toEqual(['1 wire-types'])
    expect(verdict('daemon/a.ts', text)).toEqual(['1 wire-types'])
    expect(verdict('castore/a-codec.ts', text)).toEqual([])
  })

  test('cycles are found, also those of types', () => {
    const b = { path: 'nix/b.ts', text: "import './c.ts'\n" }
    const c = { path: 'nix/c.ts', text: "\n\nimport type { A } from './a.ts'\ntype B = A\n" }
    const found = violationsOf([{ path: 'nix/a.ts', text: "import './b.ts'\n" }, b, c])
    expect(found).toEqual([
      {
        path: 'nix/c.ts',
        line: 3,
        rule: 'import-cycle',
        what: 'nix/a.ts → nix/b.ts → nix/c.ts → nix/a.ts',
      },
    ])
    expect(verdict('nix/a.ts', "import './a.ts'\n")).toEqual(['1 import-cycle'])
    const diamond = [b, { path: 'nix/c.ts', text: 'const x = 1\n' }]
    expect(verdict('nix/a.ts', "import './b.ts'\nimport './c.ts'\n", diamond)).toEqual([])
  })
})

describe('the rules of style', () => {
  const lines = (count: number, line: string): string => `${line}\n`.repeat(count)

  const bad: readonly (readonly [rule: string, line: number, text: string])[] = [
    ['file-length', 401, lines(401, '// x')],
    ['line-length', 2, `\n// ${'x'.repeat(98)}\n`],
    ['function-length', 2, `\nfunction f() {\n${lines(69, '')}}\n`],
    ['function-length', 1, `const f = () => {\n${lines(69, '')}}\n`],
    ['function-length', 2, `class A {\n  m() {\n${lines(69, '')}}\n}\n`],
    ['no-default-export', 1, 'export default 1\n'],
    ['no-default-export', 2, 'const x = 1\nexport { x as default }\n'],
    ['no-enum', 1, 'enum X { A }\n'],
    ['no-enum', 1, 'export const enum X { A }\n'],
    ['no-namespace', 1, 'namespace X { export const a = 1 }\n'],
    ['no-namespace', 1, 'declare global { interface X { a: 1 } }\n'],
    ['no-parameter-property', 2, 'class A {\n  constructor(private readonly a: number) {}\n}\n'],
    ['no-any', 1, 'const x: any = 1\n'],
    ['no-any', 2, 'type X =\n  Array<any>\n'],
    ['no-any', 1, 'const x = 1 as any\n'],
    ['no-ts-ignore', 2, '\n// @ts-ignore\nconst x = 1\n'],
    ['no-ts-ignore', 1, '// @ts-nocheck\n'],
    ['no-ts-ignore', 1, '/* @ts-ignore because */ const x = 1\n'],
    ['no-i-prefix', 1, 'interface IStore { a: 1 }\n'],
    ['port', 1, 'const x = Date.now()\n'],
    ['port', 1, "const x = Date['now']()\n"],
    ['port', 1, 'const x = globalThis.Date.now()\n'],
    ['port', 1, 'const x = new Date()\n'],
    ['port', 1, 'const x = Date()\n'],
    ['port', 1, 'const { now } = { now: Date.now }\n'],
    ['port', 1, 'setTimeout(f, 1)\n'],
    ['port', 1, 'globalThis.setTimeout(f, 1)\n'],
    ['port', 1, 'const later = setInterval\n'],
    ['port', 1, 'const x = { setTimeout }\n'],
    ['port', 1, 'const x = Math.random()\n'],
    ['port', 2, 'async function f() {\n  await fetch("x")\n}\n'],
    ['port', 1, 'function f(get = fetch) {}\n'],
    ['port', 1, 'console.log(1)\n'],
    ['port', 1, 'const x = AbortSignal.timeout(5)\n'],
    ['port', 1, 'const x = performance.now()\n'],
    ['port', 1, "import { setTimeout as sleep } from 'node:timers/promises'\nawait sleep(1)\n"],
    ['barrel', 1, "export * from './b.ts'\nconst x = 1\n"],
    ['barrel', 1, "export * as b from './b.ts'\n"],
    ['barrel', 1, "export { b } from './b.ts'\n"],
    ['barrel', 1, "import { b } from './b.ts'\nexport { b }\n"],
    ['docstring', 1, 'export function f() {}\n'],
    ['docstring', 1, 'export async function* f() {}\n'],
    ['docstring', 2, '/** Of another. */ const x = 1\nexport class A {}\n'],
    ['docstring', 1, 'export abstract class A {}\n'],
    ['docstring', 1, 'export const f = () => 1\n'],
    ['docstring', 2, '// no docstring\nexport function f() {}\n'],
    ['docstring', 2, '/* nor this */\nexport function f() {}\n'],
    ['docstring', 2, '/** */\nexport function f() {}\n'],
    ['docstring', 1, 'export function f(): void\nexport function f() {}\n'],
  ]
  test.each(bad)('%s at line %d: %j', (rule, line, text) => {
    expect(verdict('nix/a.ts', text)).toContain(`${line} ${rule}`)
  })

  const good: readonly string[] = [
    lines(400, '// x'),
    `// ${'x'.repeat(97)}\n`,
    `// ${'𝄞'.repeat(97)}\n`,
    `const f = () => {\n${lines(68, '')}}\n`,
    'const any = "enum X {} // @ts-ignore"\n',
    '// the word any, and enum, and fetch()\n',
    `const x = \`console.log(\${1})\`\n`,
    'const x = /Math.random/\n',
    'const x = clock.now()\nconst y = new Date(5)\n',
    'const x = offer.fetch(1)\n',
    'const x = { fetch: 1, console: 2 }\n',
    'const x = { fetch() {} }\nclass A { setTimeout() {} }\n',
    'interface X { fetch(): void; console: 1 }\n',
    'function f(fetch: () => void) { fetch() }\n',
    'const f = ({ fetch = 1 }) => fetch\n',
    "import { fetch } from './b.ts'\nfetch()\n",
    'interface Io { a: 1 }\ninterface Item { a: 1 }\n',
    '/** Says what. */\nexport function f() {}\n',
    '/** Says what. */\n// biome-ignore lint/x: why\nexport function f() {}\n',
    '/** Says what. */\nexport function f(): void\nexport function f() {}\n',
    'export const x = 1\n',
    "export { b } from './b.ts'\nexport const x = 1\n",
    'class A { readonly a: number; constructor(a: number) { this.a = a } }\n',
  ]
  test.each(good)('nothing to say of %j', (text) => {
    expect(verdict('nix/a.ts', text)).toEqual([])
  })

  test.each([
    ['nix/base32-utils.ts', '1 file-name'],
    ['nix/helpers.ts', '1 file-name'],
    ['nix/common/a.ts', '1 file-name'],
    ['nix/peer-manager.ts', '1 file-name'],
    ['nix/misc.ts', '1 file-name'],
    ['nix/storePath.ts', '1 kebab-case'],
    ['nix/store_path.ts', '1 kebab-case'],
    ['nix/StorePath.ts', '1 kebab-case'],
    ['nix/index.ts', '1 barrel'],
  ])('the name %s is none', (path, expected) => {
    expect(verdict(path, 'const x = 1\n')).toEqual([expected])
  })

  test('ports’ system implementations and the edges touch the machine', () => {
    const text = 'console.log(Date.now(), Math.random(), fetch)\n'
    for (const path of ['foundation/system-clock.ts', 'daemon/a.ts', 'cli/a.ts', 'cli/b/a.ts']) {
      expect(verdict(path, text)).toEqual([])
    }
    for (const path of ['foundation/clock.ts', 'nix/system-clock.ts', 'gateway/daemon/a.ts']) {
      expect(verdict(path, text)).toEqual(Array(4).fill('1 port'))
    }
  })

  test('generated code is exempt', () => {
    expect(verdict('generated/tvix/a_B.ts', 'export default 1 as any\n')).toEqual([])
  })

  test('lines are counted right after letters beyond ASCII', () => {
    expect(verdict('nix/a.ts', '// é𝄞é\nconst é = "𝄞𝄞𝄞"; const x: any = 1\n')).toEqual(['2 no-any'])
  })
})
