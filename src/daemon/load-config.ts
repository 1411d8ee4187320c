import { readFile } from 'node:fs/promises'
import { parse, TomlError } from 'smol-toml'
import { type Config, configSchema } from './config.ts'
import { ConfigError } from './config-error.ts'
import { OPTIONS, type Option } from './options.ts'
import { UPSTREAM_KEYS } from './upstream-config.ts'

/** Values by their names in cairn.toml (`share.mode` in a table), not checked yet. */
export type RawConfig = Readonly<Record<string, unknown>>

/** Where a configuration comes from, the later counting more. */
export interface ConfigSources {
  /** cairn.toml, where there is one. */
  readonly file?: string | undefined
  readonly env: Readonly<Record<string, string | undefined>>
  readonly flags: RawConfig
}

interface Layer {
  readonly values: RawConfig
  /** How a value of this layer is called when something is wrong with it. */
  nameOf(key: string): string
}

/**
 * Puts the configuration together and checks it.
 * @throws ConfigError that names the line, the variable or the flag, and says what would be right
 */
export async function loadConfig(sources: ConfigSources): Promise<Config> {
  const layers = [fromEnv(sources.env), fromFlags(sources.flags)]
  if (sources.file !== undefined) layers.unshift(await fromFile(sources.file))
  const merged: RawTable = {}
  const origins = new Map<string, Layer>()
  for (const layer of layers) {
    for (const [key, value] of Object.entries(layer.values)) {
      put(merged, key, value)
      origins.set(key, layer)
    }
  }
  const result = configSchema.safeParse(merged)
  if (result.success) return result.data
  throw new ConfigError(
    result.error.issues.flatMap((issue) => {
      if (issue.code === 'unrecognized_keys') {
        return issue.keys.map((name) => {
          const path = [...issue.path, name]
          return `${nameIn(origins, keyOf(path))}: ${unknownKey(keyOf(path))}`
        })
      }
      return [`${nameIn(origins, keyOf(issue.path))} ${lowerFirst(issue.message)}`]
    }),
  )
}

async function fromFile(path: string): Promise<Layer> {
  const text = await readFile(path, 'utf8').catch((cause) => {
    throw new ConfigError([`${path} can not be read: ${cause.message}`], { cause })
  })
  try {
    const values = flattened(parse(text) as RawConfig)
    return { values, nameOf: (key) => `${path}:${lineOf(text, key)}: ${key}` }
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause
    const why = cause.message.split('\n')[0]
    throw new ConfigError([`${path}:${cause.line}: ${why}`], { cause })
  }
}

/** The full name of what is wrong: of an option, or of one in the n-th table of a list. */
function keyOf([first, second, third]: readonly PropertyKey[]): string {
  const isInList = first === 'upstream' && typeof second === 'number'
  if (isInList) return [first, second, third].filter((it) => it !== undefined).join('.')
  return (isTable(first) ? [first, second] : [first]).map(String).join('.')
}

type RawTable = Record<string, unknown>

/** The values of tables by their full names. */
function flattened(values: RawConfig): RawConfig {
  return Object.fromEntries(
    Object.entries(values).flatMap(([key, value]) =>
      isTable(key) && typeof value === 'object' && value !== null && !Array.isArray(value)
        ? Object.entries(value).map(([name, inner]) => [`${key}.${name}`, inner])
        : [[key, value]],
    ),
  )
}

/** Sets a value by its full name. */
function put(values: RawTable, key: string, value: unknown): void {
  const [table, name] = key.split('.', 2)
  if (name === undefined || !isTable(table)) {
    values[key] = value
    return
  }
  const held = values[table!]
  const inner: RawTable = typeof held === 'object' && held !== null ? (held as RawTable) : {}
  values[table!] = { ...inner, [name]: value }
}

/** Whether there are options in a table of that name. */
function isTable(name: unknown): boolean {
  return Object.keys(OPTIONS).some((key) => key.startsWith(`${String(name)}.`))
}

function fromEnv(env: ConfigSources['env']): Layer {
  const values: Record<string, unknown> = {}
  for (const [key, option] of Object.entries(OPTIONS)) {
    const text = env[option.env]
    if (text === undefined || text === '') continue
    values[key] = fromText(text, option)
  }
  return { values, nameOf: (key) => optionOf(key)?.env ?? key }
}

function fromFlags(flags: RawConfig): Layer {
  return { values: flags, nameOf: (key) => optionOf(key)?.flag.split(' ')[0] ?? key }
}

function fromText(text: string, option: Option): unknown {
  if (option.repeatable) return text.split(/[\s,]+/).filter((it) => it !== '')
  if (option.flag.includes('<')) return text // anything but yes or no
  if (['1', 'true', 'yes', 'on'].includes(text)) return true
  return ['0', 'false', 'no', 'off'].includes(text) ? false : text
}

function optionOf(key: string): { flag: string; env: string } | undefined {
  const options = OPTIONS as Record<string, { flag: string; env: string }>
  return options[key] ?? options[listOf(key) ?? '']
}

function nameIn(origins: ReadonlyMap<string, Layer>, key: string): string {
  return (origins.get(key) ?? origins.get(listOf(key) ?? ''))?.nameOf(key) ?? key
}

/** The list that a name such as `upstream.0.url` leads into. */
function listOf(key: string): string | undefined {
  return /^([^.]+)\.\d+(\.|$)/.exec(key)?.[1]
}

function unknownKey(key: string): string {
  const isInList = listOf(key) !== undefined
  const keys = isInList ? UPSTREAM_KEYS : Object.keys(OPTIONS)
  const name = isInList ? key.split('.')[2]! : key
  const near = keys.find((known) => distance(known, name) <= 2)
  return near === undefined
    ? `there is no such key; the keys are ${keys.join(', ')}`
    : `there is no such key; did you mean ${near}?`
}

/** Where a key stands in the text, counted from 1: by its full name, or below its table's head. */
function lineOf(text: string, key: string): number {
  const lines = text.split('\n').map((line) => line.trimStart())
  const list = listOf(key)
  if (list !== undefined) return lineInList(lines, list, key.split('.').slice(1))
  const [table, name] = key.split('.', 2)
  const whole = lines.findIndex((line) => line.startsWith(key))
  if (whole >= 0 || name === undefined) return whole < 0 ? 1 : whole + 1
  const head = lines.findIndex((line) => line.startsWith(`[${table}]`))
  const inner = lines.findIndex((line, at) => at > head && line.startsWith(name))
  return (inner < 0 ? Math.max(head, 0) : inner) + 1
}

/** Where a key of the n-th `[[table]]` stands, or the head of that where it is not there. */
function lineInList(lines: readonly string[], list: string, [n, name]: readonly string[]): number {
  const heads = lines.flatMap((line, at) => (line.startsWith(`[[${list}]]`) ? [at] : []))
  const head = heads[Number(n)]
  if (head === undefined)
    return (
      Math.max(
        0,
        lines.findIndex((it) => it.startsWith(list)),
      ) + 1
    )
  const next = heads[Number(n) + 1] ?? lines.length
  const inner = lines.findIndex(
    (line, at) => at > head && at < next && name !== undefined && line.startsWith(name),
  )
  return (inner < 0 ? head : inner) + 1
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}

/** Levenshtein's distance: how many letters to change, add or drop. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(change, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[b.length]!
}
