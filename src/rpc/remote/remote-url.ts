/** Where another store is, and how it is reached. */
export interface RemoteLocation {
  /** `HOST:PORT`, or `unix:/path/of/the/socket`. */
  readonly address: string
  /** Whether the connection is encrypted, by certificates that this machine trusts. */
  readonly isSecure: boolean
  /** For people. */
  readonly name: string
}

/** A text that is no URL of a gRPC store. */
export class RemoteUrlError extends Error {
  constructor(what: string) {
    super(what)
    this.name = 'RemoteUrlError'
  }
}

const PORT = 8000
const SECURE_PORT = 443

/**
 * Reads the URL of a store as tvix and snix write it: `grpc+http://host:8000`,
 * `grpc+https://host`, `grpc+unix:///run/store.sock`.
 * @throws RemoteUrlError
 */
export function parseRemoteUrl(text: string): RemoteLocation {
  const [, scheme, rest] = /^grpc\+(http|https|unix):\/\/(.+)$/.exec(text.trim()) ?? []
  if (scheme === undefined || rest === undefined) throw noStore(text)
  if (scheme === 'unix') {
    if (!rest.startsWith('/')) throw new RemoteUrlError('a socket is grpc+unix:///path/of/it')
    return { address: `unix:${rest}`, isSecure: false, name: `grpc+unix://${rest}` }
  }
  let url: URL
  try {
    url = new URL(`${scheme}://${rest}`)
  } catch {
    throw noStore(text)
  }
  const isBare = ['', '/'].includes(url.pathname) && url.search === '' && url.hash === ''
  if (!isBare || url.username !== '') throw noStore(text)
  const isSecure = scheme === 'https'
  const port = url.port === '' ? (isSecure ? SECURE_PORT : httpPort(rest)) : url.port
  const address = `${url.hostname}:${port}`
  return { address, isSecure, name: `grpc+${scheme}://${address}` }
}

/** A URL leaves out the port 80 where it is said: it was said, then. */
function httpPort(rest: string): number {
  return /:80\/?$/.test(rest) ? 80 : PORT
}

function noStore(text: string): RemoteUrlError {
  const shown = JSON.stringify(text.replace(/\/\/.*@/s, '//'))
  const right = 'grpc+http://HOST:PORT, grpc+https://HOST:PORT or grpc+unix:///PATH'
  return new RemoteUrlError(`${shown} is not the URL of a gRPC store: ${right}`)
}
