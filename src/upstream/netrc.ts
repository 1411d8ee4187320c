import { readFile } from 'node:fs/promises'
import { systemErrorCode } from '../foundation/system-error.ts'

/** Characters of the longest netrc file that is read. */
export const NETRC_LENGTH_MAX = 1024 * 1024

/** Who one is for a host. */
export interface Credentials {
  readonly user: string
  readonly password: string
}

/** A netrc file that can not be read. Its message shows nothing of what is in it. */
export class NetrcError extends Error {
  constructor(what: string, options: ErrorOptions = {}) {
    super(what, options)
    this.name = 'NetrcError'
  }
}

interface Entry {
  /** Undefined for the default. */
  readonly host: string | undefined
  user: string
  password: string
}

interface Token {
  readonly text: string
  /** Where it ends in the text of the file. */
  readonly end: number
}

/** The passwords of a netrc file, by hosts. */
export class Netrc {
  readonly #entries: readonly Entry[]

  private constructor(entries: readonly Entry[]) {
    this.#entries = entries
  }

  /** One that knows nobody. */
  static none(): Netrc {
    return new Netrc([])
  }

  /**
   * Reads the text of a netrc file as curl does: `machine HOST login USER password PASSWORD` in
   * words, which may be in double quotes with backslashes before what is meant as it is; `default`
   * for all other hosts; `#` begins a comment; macros (`macdef`) are passed over, up to an empty
   * line, and so is what is not known.
   * @throws NetrcError
   */
  static parse(text: string): Netrc {
    if (text.length > NETRC_LENGTH_MAX) {
      throw new NetrcError(`a netrc file has at most ${NETRC_LENGTH_MAX} characters`)
    }
    const entries: Entry[] = []
    let at = 0
    const next = (isValue: boolean): string | undefined => {
      const token = tokenAt(text, at, isValue)
      at = token?.end ?? text.length
      return token?.text
    }
    for (let word = next(false); word !== undefined; word = next(false)) {
      const entry = entries.at(-1)
      if (word === 'machine') {
        entries.push({ host: (next(true) ?? '').toLowerCase(), user: '', password: '' })
      } else if (word === 'default') entries.push({ host: undefined, user: '', password: '' })
      else if (word === 'login') {
        const user = next(true) ?? ''
        if (entry !== undefined) entry.user = user
      } else if (word === 'password') {
        const password = next(true) ?? ''
        if (entry !== undefined) entry.password = password
      } else if (word === 'account') next(true)
      else if (word === 'macdef') {
        const end = /\r?\n[ \t]*\r?\n/g
        end.lastIndex = at
        at = end.exec(text) === null ? text.length : end.lastIndex
      }
    }
    return new Netrc(entries)
  }

  /** Reads a netrc file; one that is not there knows nobody. @throws NetrcError */
  static async read(path: string): Promise<Netrc> {
    let text: string
    try {
      text = await readFile(path, 'utf8')
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return Netrc.none()
      throw new NetrcError(`${path} can not be read: ${systemErrorCode(error)}`, { cause: error })
    }
    try {
      return Netrc.parse(text)
    } catch (error) {
      if (!(error instanceof NetrcError)) throw error
      throw new NetrcError(`${path}: ${error.message}`, { cause: error })
    }
  }

  /** What to say to a host, of which the first entry counts; the default's where it has none. */
  credentialsFor(host: string): Credentials | undefined {
    const wanted = host.toLowerCase()
    const found =
      this.#entries.find((it) => it.host === wanted) ??
      this.#entries.find((it) => it.host === undefined)
    return found === undefined ? undefined : { user: found.user, password: found.password }
  }
}

/** The word that begins at or after a place; a value may begin with what else is a comment. */
function tokenAt(text: string, from: number, isValue: boolean): Token | undefined {
  let at = from
  for (;;) {
    while (at < text.length && /\s/.test(text[at]!)) at++
    if (at >= text.length) return undefined
    if (isValue || text[at] !== '#') break
    while (at < text.length && text[at] !== '\n') at++
  }
  if (text[at] === '"') return quotedAt(text, at)
  let end = at
  while (end < text.length && !/\s/.test(text[end]!)) end++
  return { text: text.slice(at, end), end }
}

function quotedAt(text: string, from: number): Token {
  let value = ''
  for (let at = from + 1; at < text.length; at++) {
    const letter = text[at]!
    if (letter === '"') return { text: value, end: at + 1 }
    if (letter !== '\\') value += letter
    else value += escaped(text[++at] ?? '')
  }
  const line = text.slice(0, from).split('\n').length
  throw new NetrcError(`line ${line}: a quoted word has no closing quote`)
}

function escaped(letter: string): string {
  return { n: '\n', r: '\r', t: '\t' }[letter] ?? letter
}
