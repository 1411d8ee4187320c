import {
  importsOf,
  nodesOf,
  type ParsedFile,
  type SyntaxNode,
  type Violation,
  violation,
} from './source-file.ts'

/** Where time, chance, network and terminal may be touched: ports' system twins and the edges. */
const OUTSIDE = /^(foundation\/system-[^/]*\.ts$|daemon\/|cli\/)/

/** Globals that only a port's system implementation may use. */
const GLOBALS = ['setTimeout', 'setInterval', 'fetch', 'console']

/** Members of globals that are as bad. */
const MEMBERS = ['Date.now', 'Math.random', 'AbortSignal.timeout', 'performance.now']

/** Modules that hand out the same under other names. */
const MODULES = ['node:timers', 'node:timers/promises', 'node:console']

const RULE = 'port'

/** Reports time, randomness, network and console that do not come in through a port. */
export function portViolations(file: ParsedFile): Violation[] {
  if (OUTSIDE.test(file.path)) return []
  const violations: Violation[] = []
  const add = (offset: number, what: string): void => {
    violations.push(violation(file, offset, RULE, `${what} comes in through a port`))
  }
  const own = declaredNames(file)
  for (const { node, parent } of nodesOf(file.program)) {
    if (node.type === 'MemberExpression') {
      const member = memberText(node)
      if (member !== undefined && MEMBERS.includes(member)) add(node.start, member)
    } else if (isBareDate(node)) add(node.start, 'new Date()')
    else if (node.type === 'Identifier') {
      const name = String(node.name)
      if (GLOBALS.includes(name) && !own.has(name) && isValue(node, parent)) add(node.start, name)
    }
  }
  for (const { specifier, line, isType } of importsOf(file)) {
    if (!MODULES.includes(specifier) || isType) continue
    violations.push({ path: file.path, line, rule: RULE, what: `${specifier} has a port` })
  }
  return violations
}

/** `Date.now` of `Date.now`, `globalThis.Date.now` and `Date['now']`. */
function memberText(node: SyntaxNode): string | undefined {
  const object = node.object as SyntaxNode
  const property = node.property as SyntaxNode
  const name = node.computed === true ? property.value : property.name
  if (object.type === 'Identifier') return `${object.name}.${name}`
  if (object.type !== 'MemberExpression') return undefined
  return `${(object.property as SyntaxNode).name}.${name}`
}

function isBareDate(node: SyntaxNode): boolean {
  if (node.type !== 'NewExpression' && node.type !== 'CallExpression') return false
  const callee = node.callee as SyntaxNode
  if (callee.type !== 'Identifier' || callee.name !== 'Date') return false
  return node.type === 'CallExpression' || (node.arguments as unknown[]).length === 0
}

/** Whether an identifier is read as a value, not the name of a member, a method or a type's field. */
function isValue(node: SyntaxNode, parent: SyntaxNode | undefined): boolean {
  if (parent === undefined) return false
  if (parent.type === 'MemberExpression' && parent.property === node && parent.computed !== true) {
    return (parent.object as SyntaxNode).name === 'globalThis'
  }
  if (parent.type.startsWith('TS')) return false
  if (parent.key === node && parent.computed !== true) return parent.shorthand === true
  return true
}

/** Names that the file gives to things of its own: such a `fetch` is not the global one. */
function declaredNames(file: ParsedFile): Set<string> {
  const names = new Set<string>()
  const declare = (value: unknown): void => {
    for (const it of Array.isArray(value) ? value : [value]) {
      const pattern = it as SyntaxNode | null | undefined
      if (pattern?.type === 'Identifier') names.add(String(pattern.name))
      else if (pattern?.type === 'AssignmentPattern') declare(pattern.left)
      else if (pattern?.type === 'RestElement') declare(pattern.argument)
      else if (pattern?.type === 'ArrayPattern') declare(pattern.elements)
      else if (pattern?.type === 'Property') declare(pattern.value)
      else if (pattern?.type === 'ObjectPattern') declare(pattern.properties)
    }
  }
  for (const { node } of nodesOf(file.program)) {
    if (node.type === 'VariableDeclarator' || node.type === 'FunctionDeclaration') declare(node.id)
    if (node.type.startsWith('Import')) declare(node.local)
    if (Array.isArray(node.params)) declare(node.params)
  }
  return names
}
