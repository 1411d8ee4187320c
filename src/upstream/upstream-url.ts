/** Where a binary cache is, and how it is reached. */
export type UpstreamLocation =
  | { readonly kind: 'file'; readonly directory: string }
  | {
      readonly kind: 'http'
      /** Ends with a slash; without user, password, query and fragment. */
      readonly base: URL
      readonly credentials: { readonly user: string; readonly password: string } | undefined
    }
  | {
      readonly kind: 's3'
      readonly bucket: string
      /** What the names of its files begin with: empty, or ending with a slash. */
      readonly prefix: string
      readonly region: string | undefined
      /** `HOST[:PORT]`, where it is not Amazon's. */
      readonly endpoint: string | undefined
      readonly profile: string | undefined
      readonly scheme: 'http' | 'https'
    }
  | {
      readonly kind: 'sftp'
      readonly host: string
      readonly port: number
      readonly user: string | undefined
      readonly directory: string
      readonly keyFile: string | undefined
    }

/** A binary cache as it is named in a list of substituters. */
export interface UpstreamUrl {
  readonly location: UpstreamLocation
  /** For people: host and path, no credentials. */
  readonly name: string
  /** As Nix has it: a lower number is asked first; undefined where the URL does not say. */
  readonly priority: number | undefined
  /** For people: what the URL says that is not heeded, and why. */
  readonly notes: readonly string[]
}

/** A text that is no URL of a binary cache. Its message shows no credentials. */
export class UpstreamUrlError extends Error {
  constructor(what: string, options: ErrorOptions = {}) {
    super(what, options)
    this.name = 'UpstreamUrlError'
  }
}

/** Length of the longest URL of a cache, in characters. */
export const UPSTREAM_URL_LENGTH_MAX = 4_096

const SSH_PORT = 22

/** Stores of Nix that are no binary caches, so that no files can be read from them. */
const STORES = ['ssh', 'ssh-ng', 'daemon', 'local', 'auto', 'unix', 'dummy', 'legacy-ssh']

/** Parameters of all caches, and of each kind, by the names that Nix gives them. */
const PARAMETERS = {
  all: ['priority'],
  file: [],
  http: [],
  s3: ['region', 'endpoint', 'profile', 'scheme'],
  sftp: ['ssh-key'],
} as const

/** Parameters that Nix has for its caches, and that mean nothing here. */
const NIX_PARAMETERS = [
  ...['compression', 'compression-level', 'parallel-compression', 'multipart-upload'],
  ...['buffer-size', 'want-mass-query', 'write-nar-listing', 'index-debug-info', 'secret-key'],
  ...['secret-keys', 'local-nar-cache', 'path-info-cache-size', 'store', 'system-features'],
  ...['narinfo-compression', 'ls-compression', 'log-compression', 'region', 'endpoint'],
  ...['profile', 'scheme', 'ssh-key', 'compress', 'max-connections', 'base64-ssh-public-host-key'],
]

/**
 * Reads the URL of a binary cache as people write it for Nix:
 * `https://cache.nixos.org?priority=10`, `file:///mnt/cache`, `s3://bucket?region=eu-west-1`,
 * `sftp://user@host/path?ssh-key=/a/file`.
 * @throws UpstreamUrlError
 */
export function parseUpstreamUrl(text: string): UpstreamUrl {
  if (text.length > UPSTREAM_URL_LENGTH_MAX) {
    throw new UpstreamUrlError(
      `the URL of a cache has at most ${UPSTREAM_URL_LENGTH_MAX} characters, not ${text.length}`,
    )
  }
  const trimmed = text.trim()
  const [, scheme] = /^([a-zA-Z][a-zA-Z0-9+.-]*):\/\//.exec(trimmed) ?? []
  if (scheme === undefined) throw noCache(trimmed)
  const kind = kindOf(scheme.toLowerCase(), trimmed)
  let url: URL
  try {
    url = new URL(trimmed)
  } catch {
    // Without the cause, which shows the URL with all that is in it.
    throw new UpstreamUrlError(`${shownUrl(trimmed)} is no well-formed URL`)
  }
  // Of a password with a slash the rest would be taken for a path, and shown as one.
  if (/[@\\]/.test(url.pathname) || /^[^?#]*\\/.test(trimmed)) {
    const right = 'in a path it is written %40, and in a password / is %2F and \\ is %5C'
    throw new UpstreamUrlError(`${shownUrl(trimmed)} has an @ where a path is: ${right}`)
  }
  const location = locationOf(kind, url, trimmed)
  return {
    location,
    name: nameOf(location),
    priority: priorityOf(url, trimmed),
    notes: notesOf(kind, url),
  }
}

/** A URL for people: without user, password, query and fragment, even where it is malformed. */
export function shownUrl(text: string): string {
  const [head] = text.split(/[?#]/, 1)
  // A password may hold slashes that somebody forgot to escape, so all up to the last @ goes.
  const bare = head!.replace(/^([^:/]*:\/\/)?.*@/s, '$1')
  return JSON.stringify(bare)
}

type Kind = UpstreamLocation['kind']

function kindOf(scheme: string, text: string): Kind {
  if (scheme === 'http' || scheme === 'https') return 'http'
  if (scheme === 'file' || scheme === 's3' || scheme === 'sftp') return scheme
  throw noCache(text, scheme)
}

function noCache(text: string, scheme = text): UpstreamUrlError {
  const is = STORES.includes(scheme) ? 'is a store of Nix, and' : 'is'
  const right = 'file:///…, http://…, https://…, s3://… or sftp://…'
  return new UpstreamUrlError(`${shownUrl(text)} ${is} not the URL of a binary cache: ${right}`)
}

function locationOf(kind: Kind, url: URL, text: string): UpstreamLocation {
  switch (kind) {
    case 'file':
      return { kind, directory: directoryOf(url, text) }
    case 'http':
      return { kind, base: baseOf(url), credentials: credentialsOf(url, text) }
    case 's3':
      return s3LocationOf(url, text)
    case 'sftp':
      return sftpLocationOf(url, text)
  }
}

function directoryOf(url: URL, text: string): string {
  if (url.host !== '' && url.host !== 'localhost') {
    const right = 'file:///path, with three slashes'
    throw new UpstreamUrlError(`${shownUrl(text)} names a host; a directory is ${right}`)
  }
  const directory = decoded(url.pathname, text).replace(/\/+$/, '')
  if (directory === '') throw new UpstreamUrlError(`${shownUrl(text)} names no directory`)
  return directory
}

function baseOf(url: URL): URL {
  const base = new URL(url)
  base.username = ''
  base.password = ''
  base.search = ''
  base.hash = ''
  if (!base.pathname.endsWith('/')) base.pathname += '/'
  return base
}

function credentialsOf(url: URL, text: string): { user: string; password: string } | undefined {
  if (url.username === '' && url.password === '') return undefined
  return { user: decoded(url.username, text), password: decoded(url.password, text) }
}

function s3LocationOf(url: URL, text: string): UpstreamLocation {
  // Bucket names hold no capital letters, but the parser leaves them where they are.
  const bucket = decoded(url.hostname, text)
  if (!/^[a-zA-Z0-9][a-zA-Z0-9._-]{1,254}$/.test(bucket) || url.port !== '') {
    const right = 's3://BUCKET?region=…&endpoint=HOST:PORT'
    throw new UpstreamUrlError(`${shownUrl(text)} names no bucket: it is ${right}`)
  }
  if (url.username !== '' || url.password !== '') {
    const right = 'the environment or a profile (?profile=…)'
    throw new UpstreamUrlError(`${shownUrl(text)} holds credentials; those of S3 go into ${right}`)
  }
  const scheme = parameter(url, 'scheme') ?? 'https'
  if (scheme !== 'http' && scheme !== 'https') {
    throw new UpstreamUrlError(`the scheme of ${shownUrl(text)} is http or https`)
  }
  const endpoint = parameter(url, 'endpoint')
  const [, endpointScheme, host] = /^(?:(https?):\/\/)?([^/?#@\s]+)\/*$/.exec(endpoint ?? '') ?? []
  if (endpoint !== undefined && host === undefined) {
    throw new UpstreamUrlError(`the endpoint of ${shownUrl(text)} is HOST or HOST:PORT`)
  }
  const path = decoded(url.pathname, text).replace(/^\/+|\/+$/g, '')
  return {
    kind: 's3',
    bucket,
    prefix: path === '' ? '' : `${path}/`,
    region: parameter(url, 'region'),
    endpoint: host,
    profile: parameter(url, 'profile'),
    scheme: (endpointScheme as 'http' | 'https' | undefined) ?? scheme,
  }
}

function sftpLocationOf(url: URL, text: string): UpstreamLocation {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const directory = decoded(url.pathname, text).replace(/\/+$/, '')
  if (host === '' || directory === '') {
    throw new UpstreamUrlError(`${shownUrl(text)} is to be sftp://USER@HOST/PATH`)
  }
  if (url.password !== '') {
    const right = 'an SSH agent or a key (?ssh-key=FILE)'
    throw new UpstreamUrlError(`${shownUrl(text)} holds a password; it is reached with ${right}`)
  }
  return {
    kind: 'sftp',
    host: decoded(host, text),
    port: url.port === '' ? SSH_PORT : Number(url.port),
    user: url.username === '' ? undefined : decoded(url.username, text),
    directory,
    keyFile: parameter(url, 'ssh-key'),
  }
}

function nameOf(location: UpstreamLocation): string {
  switch (location.kind) {
    case 'file':
      return `file://${location.directory}`
    case 'http':
      return (location.base.host + location.base.pathname).replace(/\/+$/, '')
    case 's3': {
      const at = location.endpoint === undefined ? '' : ` at ${location.endpoint}`
      return `s3://${location.bucket}/${location.prefix}`.replace(/\/+$/, '') + at
    }
    case 'sftp': {
      const port = location.port === SSH_PORT ? '' : `:${location.port}`
      return `sftp://${location.host}${port}${location.directory}`
    }
  }
}

function priorityOf(url: URL, text: string): number | undefined {
  const value = parameter(url, 'priority')
  if (value === undefined) return undefined
  if (/^-?[0-9]{1,9}$/.test(value)) return Number(value)
  throw new UpstreamUrlError(`the priority of ${shownUrl(text)} is a number`)
}

function notesOf(kind: Kind, url: URL): string[] {
  const heeded: readonly string[] = [...PARAMETERS.all, ...PARAMETERS[kind]]
  const names = [...new Set(url.searchParams.keys())].filter((it) => !heeded.includes(it))
  return names.map((name) => {
    if (name === 'trusted') {
      return 'the parameter "trusted" is not heeded: what a cache says counts by its signatures'
    }
    // Of what nobody knows nobody knows either whether it is secret.
    const isKnown = NIX_PARAMETERS.includes(name)
    return isKnown ? `the parameter "${name}" is not heeded` : 'a parameter is not known'
  })
}

/** Where a parameter is given twice, the last one counts, as for Nix. */
function parameter(url: URL, name: string): string | undefined {
  return url.searchParams.getAll(name).at(-1) || undefined
}

function decoded(part: string, text: string): string {
  let plain: string | undefined
  try {
    plain = decodeURIComponent(part)
  } catch {
    plain = undefined
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
  if (plain !== undefined && !/[\u0000-\u001f\u007f]/.test(plain)) return plain
  throw new UpstreamUrlError(`${shownUrl(text)} has escapes (%…) that mean no text`)
}
