import { importsOf, type ParsedFile, resolved, type Violation } from './source-file.ts'

const BELOW_NAR = ['foundation', 'nix', 'castore']
const BELOW_SUBSTITUTION = [...BELOW_NAR, 'nar', 'pathinfo']
const ABOVE_SUBSTITUTION = [...BELOW_SUBSTITUTION, 'substitution']

/** Which folders of src/ each folder may import, beside itself; types included. */
export const MAY_IMPORT: Readonly<Record<string, readonly string[] | 'everything'>> = {
  foundation: [],
  nix: ['foundation'],
  castore: ['foundation'],
  nar: BELOW_NAR,
  pathinfo: BELOW_NAR,
  substitution: BELOW_SUBSTITUTION,
  upstream: ABOVE_SUBSTITUTION,
  peers: ABOVE_SUBSTITUTION,
  gateway: ABOVE_SUBSTITUTION,
  rpc: ABOVE_SUBSTITUTION,
  mount: ABOVE_SUBSTITUTION,
  retention: ABOVE_SUBSTITUTION,
  adoption: ABOVE_SUBSTITUTION,
  daemon: 'everything',
  cli: ['foundation', 'daemon'],
}

/** What index.ts may export values from; types it may take from anywhere. */
const INDEX_VALUES = ['daemon', 'foundation']

/** Rules about who imports whom, over the files of src/ together. */
export function importViolations(files: readonly ParsedFile[]): Violation[] {
  return [...files.flatMap(tableViolations), ...cycleViolations(files)]
}

function tableViolations(file: ParsedFile): Violation[] {
  const violations: Violation[] = []
  const folder = folderOf(file.path)
  if (folder === 'generated') return []
  if (folder !== '' && MAY_IMPORT[folder] === undefined) {
    const what = `src/${folder} is no folder of the import table`
    return [{ path: file.path, line: 1, rule: 'import-table', what }]
  }
  for (const { specifier, line, isType } of importsOf(file)) {
    const target = resolved(file.path, specifier)
    if (target === undefined) continue
    const to = folderOf(target)
    const broken = (rule: string, what: string): void => {
      violations.push({ path: file.path, line, rule, what })
    }
    if (target.startsWith('/')) broken('import-table', `${specifier} is outside of src`)
    else if (to === 'generated' && !mayUseWire(file.path)) {
      broken('wire-types', 'only *-codec.ts files and rpc/ import src/generated')
    } else if (to !== 'generated' && !mayImport(folder, to, isType)) {
      broken('import-table', `${folder || 'index.ts'} may not import ${to || target}`)
    }
  }
  return violations
}

function mayImport(from: string, to: string, isType: boolean): boolean {
  if (to === '') return false // nothing imports index.ts
  if (from === to) return true
  if (from === '') return isType || INDEX_VALUES.includes(to)
  const allowed = MAY_IMPORT[from]
  return allowed === 'everything' || (allowed?.includes(to) ?? false)
}

function mayUseWire(path: string): boolean {
  return path.startsWith('rpc/') || path.endsWith('-codec.ts')
}

/** The folder right below src, '' for the files in src itself. */
function folderOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.indexOf('/')) : ''
}

/** One violation a cycle, at the import that closes it; types count, since readers follow them. */
function cycleViolations(files: readonly ParsedFile[]): Violation[] {
  const edges = new Map(files.map((file) => [file.path, targetsOf(file)]))
  const state = new Map<string, 'open' | 'done'>()
  const trail: string[] = []
  const violations: Violation[] = []
  const visit = (path: string): void => {
    state.set(path, 'open')
    trail.push(path)
    for (const { target, line } of edges.get(path) ?? []) {
      if (state.get(target) === 'open') {
        const cycle = [...trail.slice(trail.indexOf(target)), target].join(' → ')
        violations.push({ path, line, rule: 'import-cycle', what: cycle })
      } else if (edges.has(target) && !state.has(target)) visit(target)
    }
    trail.pop()
    state.set(path, 'done')
  }
  for (const { path } of files) if (!state.has(path)) visit(path)
  return violations
}

function targetsOf(file: ParsedFile): { target: string; line: number }[] {
  return importsOf(file).flatMap(({ specifier, line }) => {
    const target = resolved(file.path, specifier)
    return target === undefined ? [] : [{ target, line }]
  })
}
