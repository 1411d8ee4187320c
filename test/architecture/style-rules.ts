import { portViolations } from './port-rules.ts'
import {
  nodesOf,
  type ParsedFile,
  type SyntaxNode,
  type Violation,
  violation,
} from './source-file.ts'

const FILE_LINES_MAX = 400
const FUNCTION_LINES_MAX = 70
const LINE_COLUMNS_MAX = 100

/** Words that say nothing about what a file holds. */
const EMPTY_WORDS = /^(utils?|helpers?|common|managers?|misc)$/

/** Syntax that the house does without, and why it is not there. */
const FORBIDDEN: Readonly<Record<string, readonly [rule: string, what: string]>> = {
  ExportDefaultDeclaration: ['no-default-export', 'exports have names'],
  TSExportAssignment: ['no-default-export', 'exports have names'],
  TSEnumDeclaration: ['no-enum', 'a union of strings does it'],
  TSModuleDeclaration: ['no-namespace', 'a file is a module already'],
  TSParameterProperty: ['no-parameter-property', 'fields are declared and assigned'],
  TSAnyKeyword: ['no-any', 'unknown, or the real type'],
}

const FUNCTIONS = ['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression']

/** Rules about one file of src/; generated code is exempt. */
export function styleViolations(file: ParsedFile): Violation[] {
  if (file.path.startsWith('generated/')) return []
  return [
    ...nameViolations(file),
    ...sizeViolations(file),
    ...commentViolations(file),
    ...syntaxViolations(file),
    ...portViolations(file),
    ...barrelViolations(file),
    ...docstringViolations(file),
  ]
}

function nameViolations(file: ParsedFile): Violation[] {
  const violations: Violation[] = []
  for (const part of file.path.replace(/\.ts$/, '').split('/')) {
    if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(part)) {
      violations.push(violation(file, 0, 'kebab-case', `${part} is not in kebab-case`))
    }
    const empty = part.split('-').find((word) => EMPTY_WORDS.test(word))
    if (empty !== undefined) {
      violations.push(violation(file, 0, 'file-name', `"${empty}" does not say what it holds`))
    }
  }
  return violations
}

function sizeViolations(file: ParsedFile): Violation[] {
  const violations: Violation[] = []
  const lines = file.text.replace(/\n$/, '').split('\n')
  const add = (line: number, rule: string, what: string): void => {
    violations.push({ path: file.path, line, rule, what })
  }
  if (lines.length > FILE_LINES_MAX) {
    add(FILE_LINES_MAX + 1, 'file-length', `${lines.length} lines, at most ${FILE_LINES_MAX}`)
  }
  for (const [i, line] of lines.entries()) {
    const columns = [...line].length
    if (columns > LINE_COLUMNS_MAX) {
      add(i + 1, 'line-length', `${columns} columns, at most ${LINE_COLUMNS_MAX}`)
    }
  }
  for (const { node, parent } of nodesOf(file.program)) {
    if (!FUNCTIONS.includes(node.type)) continue
    const from = file.lineOf(parent?.type === 'MethodDefinition' ? parent.start : node.start)
    const length = file.lineOf(node.end) - from + 1
    if (length > FUNCTION_LINES_MAX) {
      add(from, 'function-length', `${length} lines, at most ${FUNCTION_LINES_MAX}`)
    }
  }
  return violations
}

function commentViolations(file: ParsedFile): Violation[] {
  return file.comments
    .filter((comment) => /@ts-(ignore|nocheck)\b/.test(comment.value))
    .map((comment) => violation(file, comment.start, 'no-ts-ignore', 'types are not silenced'))
}

function syntaxViolations(file: ParsedFile): Violation[] {
  const violations: Violation[] = []
  for (const { node } of nodesOf(file.program)) {
    const forbidden = FORBIDDEN[node.type]
    if (forbidden !== undefined) violations.push(violation(file, node.start, ...forbidden))
    if (isDefaultSpecifier(node)) {
      violations.push(violation(file, node.start, 'no-default-export', 'exports have names'))
    }
    const name = node.type === 'TSInterfaceDeclaration' ? nameOf(node.id as SyntaxNode) : ''
    if (/^I[A-Z][a-z]/.test(name)) {
      violations.push(violation(file, node.start, 'no-i-prefix', `${name} is a role, not an I…`))
    }
  }
  return violations
}

/** `export { x as default }`, with or without a source. */
function isDefaultSpecifier(node: SyntaxNode): boolean {
  return node.type === 'ExportSpecifier' && nameOf(node.exported as SyntaxNode) === 'default'
}

/** index.ts is the one file that exports what others hold. */
function barrelViolations(file: ParsedFile): Violation[] {
  if (file.path === 'index.ts') return []
  const body = file.program.body as readonly SyntaxNode[]
  const rule = 'barrel'
  if (/(^|\/)index\.ts$/.test(file.path)) {
    return [violation(file, 0, rule, 'the only index.ts is src/index.ts')]
  }
  const starred = body.find((node) => node.type === 'ExportAllDeclaration')
  if (starred !== undefined) {
    return [violation(file, starred.start, rule, 'what a file exports, it names')]
  }
  const isPassedOn = (node: SyntaxNode): boolean =>
    node.type === 'ExportNamedDeclaration' && node.source !== null
  const isLink = (node: SyntaxNode): boolean =>
    isPassedOn(node) || node.type === 'ImportDeclaration' || isBareExport(node)
  if (body.every(isLink) && body.some((it) => isPassedOn(it) || isBareExport(it))) {
    return [violation(file, body[0]!.start, rule, 'a file holds something of its own')]
  }
  return []
}

/** `export { a, b }` of names from elsewhere in the file. */
function isBareExport(node: SyntaxNode): boolean {
  return node.type === 'ExportNamedDeclaration' && node.declaration === null
}

function docstringViolations(file: ParsedFile): Violation[] {
  const violations: Violation[] = []
  const seen = new Set<string>()
  for (const node of file.program.body as readonly SyntaxNode[]) {
    const declaration = node.type === 'ExportNamedDeclaration' ? node.declaration : undefined
    const name = publicName(declaration as SyntaxNode | null | undefined)
    // Of overloads the first one tells.
    if (name === undefined || seen.has(name)) continue
    seen.add(name)
    if (!hasDocstring(file, node)) {
      violations.push(violation(file, node.start, 'docstring', `${name} has no docstring`))
    }
  }
  return violations
}

/** The name of an exported function, a class, or a constant that holds a function. */
function publicName(declaration: SyntaxNode | null | undefined): string | undefined {
  switch (declaration?.type) {
    case 'FunctionDeclaration':
    case 'TSDeclareFunction':
    case 'ClassDeclaration':
      return nameOf(declaration.id as SyntaxNode)
    case 'VariableDeclaration': {
      const [first] = declaration.declarations as readonly SyntaxNode[]
      const init = first?.init as SyntaxNode | null | undefined
      if (!FUNCTIONS.includes(init?.type ?? '')) return undefined
      return nameOf(first?.id as SyntaxNode)
    }
    default:
      return undefined
  }
}

function hasDocstring(file: ParsedFile, node: SyntaxNode): boolean {
  return file.comments.some(
    (comment) =>
      comment.type === 'Block' &&
      /^\*\s*\S/.test(comment.value) &&
      comment.end <= node.start &&
      // Only lint directives may stand between.
      /^(\s|\/\/ biome-ignore[^\n]*\n)*$/.test(file.text.slice(comment.end, node.start)),
  )
}

function nameOf(node: SyntaxNode): string {
  return typeof node.name === 'string' ? node.name : ''
}
