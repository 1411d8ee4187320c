import { createHmac } from 'node:crypto'

/** Characters of the longest file of known hosts that is read. */
export const KNOWN_HOSTS_LENGTH_MAX = 16 * 1024 * 1024

const SSH_PORT = 22

interface Entry {
  readonly patterns: string
  readonly isRevoked: boolean
  readonly type: string
  /** Base64. */
  readonly key: string
}

/** What is known of a host: the types of its keys, and which key it may show. */
export interface KnownHost {
  /** The types of the keys that are known, in the order of the file; empty for an unknown host. */
  readonly keyTypes: readonly string[]
  /** Whether it is known by a key, in the wire format of SSH. */
  isKnownBy(key: Uint8Array): boolean
}

/**
 * The keys of hosts, as OpenSSH keeps them (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): names in plain,
 * with `*` and `?`, negated, hashed, and with ports; keys that were revoked. Certificates of hosts
 * (`@cert-authority`) are passed over, and so are lines that can not be read, as OpenSSH does.
 */
export class KnownHosts {
  readonly #entries: readonly Entry[]

  private constructor(entries: readonly Entry[]) {
    this.#entries = entries
  }

  /** Reads the text of such a file, or of several one after another. @throws RangeError */
  static parse(text: string): KnownHosts {
    if (text.length > KNOWN_HOSTS_LENGTH_MAX) {
      throw new RangeError(`known hosts have at most ${KNOWN_HOSTS_LENGTH_MAX} characters`)
    }
    return new KnownHosts(text.split('\n').flatMap(entryOf))
  }

  /** What is known of a host at a port. */
  of(host: string, port: number): KnownHost {
    const name = port === SSH_PORT ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`
    const entries = this.#entries.filter(({ patterns }) => isOneOf(name, patterns))
    const good = entries.filter(({ isRevoked }) => !isRevoked)
    return {
      keyTypes: [...new Set(good.map(({ type }) => type))],
      isKnownBy: (bytes) => {
        const key = Buffer.from(bytes).toString('base64')
        const isRevoked = entries.some((it) => it.isRevoked && it.key === key)
        return !isRevoked && good.some((it) => it.key === key)
      },
    }
  }
}

function entryOf(line: string): Entry[] {
  const words = line.trim().split(/\s+/)
  if (words[0]!.startsWith('#')) return []
  const marker = words[0]!.startsWith('@') ? words.shift() : undefined
  const [patterns, type, key] = words
  if (patterns === undefined || type === undefined || key === undefined) return []
  if (marker !== undefined && marker !== '@revoked') return []
  return [{ patterns, type, key: key.replace(/=*$/, padding), isRevoked: marker !== undefined }]
}

/** Base64 as it is written here, whichever way the file has it. */
function padding(_: string, offset: number): string {
  return '='.repeat((4 - (offset % 4)) % 4)
}

function isOneOf(name: string, patterns: string): boolean {
  const [, , salt, hash] = patterns.startsWith('|1|') ? patterns.split('|') : []
  if (salt !== undefined && hash !== undefined) {
    const hashed = createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64')
    return hashed === hash
  }
  const all = patterns.toLowerCase().split(',')
  const isDenied = all.some((it) => it.startsWith('!') && isMatch(name, it.slice(1)))
  return !isDenied && all.some((it) => isMatch(name, it))
}

/** With `*` and `?`, in time that the lengths alone bound. */
function isMatch(name: string, pattern: string): boolean {
  let [at, from, star, mark] = [0, 0, -1, 0]
  while (at < name.length) {
    if (pattern[from] === '*') {
      star = from++
      mark = at
    } else if (pattern[from] === '?' || pattern[from] === name[at]) {
      at++
      from++
    } else if (star >= 0) {
      from = star + 1
      at = ++mark
    } else return false
  }
  while (pattern[from] === '*') from++
  return from === pattern.length
}
