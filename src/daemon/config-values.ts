import { z } from 'zod'
import { PublicKey } from '../nix/key.ts'
import { parseByteSize, parseSpan } from './quantity.ts'

/** With less than this, in bytes a second, a node would be of no use to its peers. */
export const RATE_BYTES_MIN = 64_000

/** A public key, as `NAME:BASE64`. */
export const trustedKey = z.string().transform((text, context): PublicKey => {
  try {
    return PublicKey.parse(text)
  } catch (error) {
    context.addIssue(`is a public key as NAME:BASE64: ${(error as Error).message}`)
    return z.NEVER
  }
})

/** A rate in bytes a second, of at least so many; `shownMin` says that for people. */
export function byteRate(bytesMin: number, shownMin: string) {
  return z.union([z.string(), z.number()]).transform((given, context): number => {
    const bytes = parseByteSize(String(given).replace(/\/s$/, ''))
    if (bytes !== undefined && bytes >= bytesMin) return bytes
    context.addIssue(
      `is at least ${shownMin} a second, such as 2MB or 500 kB/s, not ${shown(given)}`,
    )
    return z.NEVER
  })
}

/** A span of time, in milliseconds. */
export const span = z.string().transform((text, context): number => {
  const ms = parseSpan(text)
  if (ms !== undefined && ms > 0) return ms
  context.addIssue(`is a span of time, such as 90d or 12h, not ${shown(text)}`)
  return z.NEVER
})

/** What somebody wrote, as it is shown to them again. */
export function shown(value: unknown): string {
  return JSON.stringify(value)
}
