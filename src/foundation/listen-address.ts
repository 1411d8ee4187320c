import type { Server } from 'node:net'

/** Where a face of the node listens. */
export type ListenAddress =
  /** `HOST:PORT`; port 0 lets the system choose. */
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  /** `unix:/path/of/the/socket`. */
  | { readonly kind: 'unix'; readonly path: string }
  /** `systemd` or `systemd:NAME`: a socket that the service manager has opened. */
  | { readonly kind: 'systemd'; readonly name: string | undefined }

/** Length of the longest path of a Unix socket in bytes, as Linux has it. */
export const SOCKET_PATH_BYTES_MAX = 107

/** Reads an address, undefined where the text is none. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length)
    const fits = Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX && !path.includes('\0')
    return path.startsWith('/') && fits ? { kind: 'unix', path } : undefined
  }
  const [isSystemd, name] = /^systemd(?::([\w.-]+))?$/.exec(text) ?? []
  if (isSystemd !== undefined) return { kind: 'systemd', name }
  const [, bracketed, plain, port] = /^(?:\[(.+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? []
  if (port === undefined || Number(port) > 65_535) return undefined
  return { kind: 'tcp', host: (bracketed ?? plain)!, port: Number(port) }
}

/** The address that a server is bound to, its port the real one; the given one where it is not. */
export function boundAddress(
  address: ListenAddress,
  bound: ReturnType<Server['address']> | undefined,
): ListenAddress {
  if (bound === null || bound === undefined) return address
  if (typeof bound === 'string') return { kind: 'unix', path: bound }
  return {
    kind: 'tcp',
    host: address.kind === 'tcp' ? address.host : bound.address,
    port: bound.port,
  }
}

/** The text of an address, as {@link parseListenAddress} reads it. */
export function renderListenAddress(address: ListenAddress): string {
  switch (address.kind) {
    case 'tcp':
      return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`
    case 'unix':
      return `unix:${address.path}`
    case 'systemd':
      return address.name === undefined ? 'systemd' : `systemd:${address.name}`
  }
}
