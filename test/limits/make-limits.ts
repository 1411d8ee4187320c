/* npm run generate: the table of all limits, from the constants in the sources and their words. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const SRC = join(import.meta.dirname, '..', '..', 'src')

/** Where the table goes. */
export const TABLE = join(SRC, 'generated', 'limits.ts')

/** What the names of limits end with, the unit last. */
const LIMIT = /_(MAX|MS|AT_ONCE|BURST|PER_SECOND)$/

/** Exported constants of such names that bound no request, queue or wait: how the program is tuned. */
const TUNING = new Set([
  ...['READ_BYTES_MAX', 'READ_GAP_BYTES_MAX', 'BUFFER_BYTES_MAX', 'SIZE_MAX', 'HEADERS_CHECK_MS'],
  ...['SOCKET_PATH_BYTES_MAX', 'RECORD_KEY_BYTES_MAX', 'DIRECTORY_BATCH_MAX', 'ERROR_LENGTH_MAX'],
  ...['TABLE_BYTES_MAX', 'PIECE_BYTES_MAX', 'WHOLE_MS', 'OFFER_MS'],
])

interface Found {
  readonly name: string
  readonly what: string
}

/** The text of the table as the sources are now. @throws Error where a limit has no words */
export async function limitsTable(): Promise<string> {
  const rows: string[] = []
  for (const path of sources()) {
    const limits = limitsOf(path)
    if (limits.length === 0) continue
    const values = (await import(join(SRC, path))) as Record<string, number>
    const [part] = path.split('/')
    for (const { name, what } of limits) {
      rows.push(JSON.stringify({ part, name, value: values[name], what }))
    }
  }
  return `// Made by npm run generate from the constants in the sources and their words; not to be edited.

export interface Limit {
  part: string
  name: string
  value: number
  what: string
}

export const LIMITS: readonly Limit[] = [
${rows.map((row) => `  ${row},`).join('\n')}
]
`
}

function sources(): string[] {
  return readdirSync(SRC, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.startsWith('generated'))
    .filter((path) => !path.startsWith('daemon') && !path.startsWith('cli'))
    .sort()
}

function limitsOf(path: string): Found[] {
  const text = readFileSync(join(SRC, path), 'utf8')
  const constants =
    /(?:\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\n)?export const ([A-Z0-9_]+)(?:: \w+)? = \d/g
  return [...text.matchAll(constants)].flatMap(([, doc, name]) => {
    if (!LIMIT.test(name!) || TUNING.has(name!)) return []
    const words = (doc ?? '').replace(/\s*\n\s*\*\s?|\s+/g, ' ').trim()
    const [what] = /^[\s\S]*?(?=\.(\s|$)|[;:] |$)/.exec(words)!
    if (what === '') throw new Error(`src/${path}: ${name} is a limit without words`)
    return [{ name: name!, what }]
  })
}

if (process.argv[1] === import.meta.filename) writeFileSync(TABLE, await limitsTable())
