import { z } from 'zod'
import { parseRemoteUrl, type RemoteLocation, RemoteUrlError } from '../rpc/remote/remote-url.ts'
import { parseUpstreamUrl, type UpstreamUrl, UpstreamUrlError } from '../upstream/upstream-url.ts'
import { byteRate, RATE_BYTES_MIN, span, trustedKey } from './config-values.ts'

/** How many upstream caches there may be. */
export const UPSTREAMS_MAX = 32

/** Where an upstream is: a binary cache, or a store with gRPC services. */
export type UpstreamPlace =
  | ({ readonly kind: 'cache' } & UpstreamUrl)
  | ({ readonly kind: 'store' } & RemoteLocation)

/** Where an upstream is, by its URL. */
export const upstreamPlace = z.string().transform((text, context): UpstreamPlace => {
  try {
    return text.startsWith('grpc+')
      ? { kind: 'store', ...parseRemoteUrl(text) }
      : { kind: 'cache', ...parseUpstreamUrl(text) }
  } catch (error) {
    if (!(error instanceof UpstreamUrlError || error instanceof RemoteUrlError)) throw error
    context.addIssue(`is the URL of a cache: ${error.message}`)
    return z.NEVER
  }
})

/** Where to push: such a URL, as it was written. */
export const pushPlace = z.string().superRefine((text, context) => {
  for (const { message } of upstreamPlace.safeParse(text).error?.issues ?? []) {
    context.addIssue(message)
  }
})

const table = z.strictObject({
  url: upstreamPlace,
  /** As Nix has it: a lower number is asked first; by default what the cache itself says. */
  priority: z.number().int().min(1).max(1000).optional(),
  /** Keys that count for what this cache has, besides those that always do. */
  trusted_keys: z.array(trustedKey).prefault([]),
  /** How long connecting, and each wait for an answer, may take. */
  timeout: span.optional(),
  /** How many requests are under way at once. */
  connections: z.number().int().min(1).max(256).optional(),
  download_rate: byteRate(RATE_BYTES_MIN, '64 kB').optional(),
  /** The store that the cache is for, where it is not /nix/store. */
  store_dir: z.string().startsWith('/').optional(),
  /** Where names and passwords are, in the form of netrc. */
  netrc: z.string().min(1).optional(),
  /** The file with the token that lets us write to a store of another machine. */
  token_file: z.string().min(1).optional(),
  /** Whether neighbours share the work of fetching from it. */
  share_pulls: z.boolean().prefault(true),
})

/** One `[[upstream]]`; a URL alone stands for a table with nothing else in it. */
export const upstreamSchema = z.preprocess(
  (given) => (typeof given === 'string' ? { url: given } : given),
  table,
)

/** A checked `[[upstream]]`. */
export type UpstreamConfig = z.infer<typeof table>

/** What may stand in an `[[upstream]]`. */
export const UPSTREAM_KEYS = Object.keys(table.shape)
