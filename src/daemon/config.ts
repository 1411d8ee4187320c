import { multiaddr } from '@multiformats/multiaddr'
import { z } from 'zod'
import { PACKING_LEVEL } from '../castore/stores/chunk-packer.ts'
import { TokenHash } from '../foundation/access-token.ts'
import { type ListenAddress, parseListenAddress } from '../foundation/listen-address.ts'
import { ENCODINGS } from '../nar/compression.ts'
import { NamePattern } from '../pathinfo/name-pattern.ts'
import { SHARE_MODES, SHARE_PATTERNS_MAX } from '../pathinfo/share-policy.ts'
import { ANNOUNCE_MODES } from '../peers/announcing/announce-mode.ts'
import { ANNOUNCE_BYTES_PER_SECOND } from '../peers/announcing/telling.ts'
import { AHEAD_BYTES_MAX } from '../substitution/closure-ahead.ts'
import { byteRate, RATE_BYTES_MIN, shown, span, trustedKey } from './config-values.ts'
import { parseLogLevels } from './log-levels.ts'
import { parseByteSize } from './quantity.ts'
import { defaultState } from './state-directory.ts'
import { pushPlace, UPSTREAMS_MAX, upstreamSchema } from './upstream-config.ts'

/** The key of cache.nixos.org, trusted unless the configuration says otherwise. */
export const CACHE_NIXOS_ORG_KEY = 'cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY='

const listenAddress = z.string().transform((text, context): ListenAddress => {
  const address = parseListenAddress(text)
  if (address !== undefined) return address
  const right = 'HOST:PORT, such as 127.0.0.1:9000, or unix:/PATH, or systemd:NAME'
  context.addIssue(`is ${right}, not ${JSON.stringify(text)}`)
  return z.NEVER
})

const tokenHash = z.string().transform((text, context): TokenHash => {
  const token = TokenHash.parse(text)
  if (token !== undefined) return token
  // Not the text itself: it may be the token that somebody put here by mistake.
  context.addIssue('is NAME:sha256:HEX, as `cairn token generate NAME` says it')
  return z.NEVER
})

const address = z.string().refine(isMultiaddr, {
  error: (issue) =>
    `is a multiaddress, such as /ip4/192.168.1.5/tcp/9001, not ${shown(issue.input)}`,
})

const shareMode = z.enum(SHARE_MODES, {
  error: (issue) => `is one of ${SHARE_MODES.join(', ')}, not ${shown(issue.input)}`,
})

const announceMode = z.enum(ANNOUNCE_MODES, {
  error: (issue) => `is one of ${ANNOUNCE_MODES.join(', ')}, not ${shown(issue.input)}`,
})

const namePattern = z.string().transform((text, context): NamePattern => {
  const pattern = NamePattern.parse(text)
  if (pattern !== undefined) return pattern
  const right = 'a pattern of the names behind the hash of store paths, such as *-secret*'
  context.addIssue(`is ${right}, not ${shown(text)}`)
  return z.NEVER
})

const adoptedPaths = z.enum(['all', 'signed'], {
  error: (issue) => `is all or signed, not ${shown(issue.input)}`,
})

/** A size in bytes, of at least so many; `right` says that for people. */
function byteSize(bytesMin: number, right: string) {
  return z.union([z.string(), z.number()]).transform((given, context): number => {
    const bytes = parseByteSize(String(given))
    if (bytes !== undefined && bytes >= bytesMin) return bytes
    context.addIssue(`is ${right}, not ${shown(given)}`)
    return z.NEVER
  })
}

const packingLevel = z.union([z.string(), z.number()]).transform((given, context): number => {
  const level = Number(given)
  if (Number.isInteger(level) && level >= 0 && level <= 19) return level
  context.addIssue(`is a whole number from 0 to 19, not ${shown(given)}`)
  return z.NEVER
})

const logLevels = z.string().superRefine((text, context) => {
  try {
    parseLogLevels(text)
  } catch (error) {
    context.addIssue((error as Error).message)
  }
})

/** A store that may take less than this, in bytes, would be busy with making room for itself. */
export const STORE_BYTES_MIN = 256 * 1024 * 1024

/** Announcing with less than this, in bytes a second, would never come to an end. */
export const ANNOUNCE_RATE_MIN = 1000

/** The one schema of cairn.toml, the environment and the flags. */
export const configSchema = z.strictObject({
  state: z.string().min(1).prefault(defaultState),
  gateway: listenAddress.prefault('127.0.0.1:9000'),
  rpc: listenAddress.prefault('localhost:8000'),
  listen: z.array(address).min(1).prefault(['/ip4/0.0.0.0/tcp/9001']),
  bootstrap: z.array(address).prefault([]),
  mdns: z.boolean().prefault(true),
  announce: announceMode.prefault(ANNOUNCE_MODES[0]),
  announce_rate: byteRate(ANNOUNCE_RATE_MIN, '1 kB').prefault(ANNOUNCE_BYTES_PER_SECOND),
  upstream: z.array(upstreamSchema).max(UPSTREAMS_MAX).prefault([]),
  ahead: byteSize(0, 'a size, such as 64MiB, or 0 for nothing').prefault(AHEAD_BYTES_MAX),
  trusted_keys: z.array(trustedKey).prefault([CACHE_NIXOS_ORG_KEY]),
  signing_key: z.string().min(1).optional(),
  tokens: z.array(tokenHash).prefault([]),
  share: z
    .strictObject({
      mode: shareMode.prefault('signed'),
      allow: z.array(namePattern).max(SHARE_PATTERNS_MAX).prefault([]),
      deny: z.array(namePattern).max(SHARE_PATTERNS_MAX).prefault([]),
    })
    .prefault({}),
  store: z
    .strictObject({
      max_bytes: byteSize(
        STORE_BYTES_MIN,
        'a size of at least 256 MiB, such as 50GB or 512 MiB',
      ).optional(),
      max_age: span.optional(),
      compression_level: packingLevel.prefault(PACKING_LEVEL),
    })
    .prefault({}),
  peers: z
    .strictObject({
      upload_rate: byteRate(RATE_BYTES_MIN, '64 kB').optional(),
      download_rate: byteRate(RATE_BYTES_MIN, '64 kB').optional(),
    })
    .prefault({}),
  adopt: z
    .strictObject({
      follow: z.boolean().prefault(false),
      paths: adoptedPaths.prefault('signed'),
      root: z.string().startsWith('/').prefault('/'),
    })
    .prefault({}),
  push: z
    .strictObject({
      to: pushPlace.optional(),
      compression: z
        .enum(ENCODINGS, {
          error: (issue) => `is one of ${ENCODINGS.join(', ')}, not ${shown(issue.input)}`,
        })
        .prefault('zstd'),
    })
    .prefault({}),
  log: logLevels.prefault('info'),
})

/** A configuration that has been checked, its defaults filled in. */
export type Config = z.infer<typeof configSchema>

function isMultiaddr(text: string): boolean {
  try {
    multiaddr(text)
    return true
  } catch {
    return false
  }
}
