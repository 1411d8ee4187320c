import { type ParseResult, parseSync } from 'vite'

/** A source file as the rules see it; `path` is relative to src/, with slashes. */
export interface SourceFile {
  readonly path: string
  readonly text: string
}

/** A broken rule: where, which one, and how. */
export interface Violation {
  readonly path: string
  /** Counted from 1. */
  readonly line: number
  readonly rule: string
  readonly what: string
}

/** A node of the syntax tree (ESTree with TypeScript), of whatever type. */
export interface SyntaxNode {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [field: string]: unknown
}

/** A file with its syntax tree and comments. */
export interface ParsedFile extends SourceFile {
  readonly program: SyntaxNode
  readonly comments: ParseResult['comments']
  lineOf(offset: number): number
}

/** One import, export-from or import() of a file. */
export interface Import {
  readonly specifier: string
  readonly line: number
  /** Whether it is erased: `import type`, `export type` or a type's `import()`. */
  readonly isType: boolean
}

/** Parses TypeScript. @throws Error where the text is none */
export function parsed(file: SourceFile): ParsedFile {
  const { program, comments, errors } = parseSync(file.path, file.text, { lang: 'ts' })
  if (errors.length > 0) throw new Error(`${file.path}: ${errors[0]?.message}`)
  const starts = [0]
  for (const match of file.text.matchAll(/\n/g)) starts.push(match.index + 1)
  const lineOf = (offset: number): number => starts.findLastIndex((it) => it <= offset) + 1
  return { ...file, program: program as unknown as SyntaxNode, comments, lineOf }
}

/** A node and all below it, each with its parent. */
export function* nodesOf(
  node: SyntaxNode,
  parent?: SyntaxNode,
): Generator<{ node: SyntaxNode; parent: SyntaxNode | undefined }> {
  yield { node, parent }
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (isNode(child)) yield* nodesOf(child, node)
    }
  }
}

/** All that a file imports, types included, in the order of the text. */
export function importsOf(file: ParsedFile): Import[] {
  const imports: Import[] = []
  for (const { node } of nodesOf(file.program)) {
    const source = node.source as SyntaxNode | null | undefined
    if (typeof source?.value !== 'string') continue
    const isType =
      node.type === 'TSImportType' || node.importKind === 'type' || node.exportKind === 'type'
    imports.push({ specifier: source.value, line: file.lineOf(node.start), isType })
  }
  return imports
}

/** The file of src/ that a relative specifier means, or undefined for a package. */
export function resolved(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined
  return new URL(specifier, `file:///src/${from}`).pathname.replace(/^\/src\//, '')
}

/** The violation at an offset of the file. */
export function violation(file: ParsedFile, offset: number, rule: string, what: string): Violation {
  return { path: file.path, line: file.lineOf(offset), rule, what }
}

function isNode(value: unknown): value is SyntaxNode {
  return typeof (value as SyntaxNode | null)?.type === 'string'
}
