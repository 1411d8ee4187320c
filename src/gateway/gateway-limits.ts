/** How long a client may take to send a request's headers. */
export const HEADERS_MS = 10_000

/** How often it is looked for clients that take longer than {@link HEADERS_MS}. */
export const HEADERS_CHECK_MS = 2_000

/** For how long a connection may idle between two requests. */
export const KEEP_ALIVE_MS = 75_000

/** For how long an upload may stand still while we wait for more of it. */
export const UPLOAD_IDLE_MS = 60_000

/** For how long a client may take nothing of what waits for it. */
export const STALLED_READER_MS = 60_000

/** For how long the rest of a refused body is let pass, so that its sender gets to read why. */
export const LINGER_MS = 2_000

/** How much of a refused body is let pass. */
export const LINGER_BYTES_MAX = 16 * 1024 * 1024

/** How many connections there are at once; Nix opens 25, and a fleet may have hundreds of it. */
export const CONNECTIONS_MAX = 4_096

/** How many requests are being answered at once; more are told to come back. */
export const REQUESTS_MAX = 2_048

/**
 * How many NARs are being sent at once; the others wait with their first byte. Each takes up to
 * 8 MiB of memory while its reader is slow.
 */
export const NARS_AT_ONCE_MAX = 64

/** How many bytes of NARs strangers may have here that no signed narinfo has claimed. */
export const UNCLAIMED_BYTES_MAX = 4 * 1024 * 1024 * 1024

/** After so long a NAR that nobody claimed counts no more. */
export const UNCLAIMED_MS = 24 * 60 * 60 * 1000

/** How much of a stranger's compressed stream is taken whatever it expands to. */
export const STRANGER_ALLOWANCE_BYTES_MAX = 64 * 1024 * 1024

/** Length of the longest build log that is taken, in bytes, when it is unpacked. */
export const LOG_BYTES_MAX = 256 * 1024 * 1024

/** Length of the longest listing that is taken, and dropped: they are made from what is held. */
export const LISTING_BYTES_MAX = 256 * 1024 * 1024

/** Length of the longest realisation, build trace or debug info that is taken, in bytes. */
export const SMALL_DOCUMENT_BYTES_MAX = 1024 * 1024

/** What a gateway allows its clients; each has its constant as the default. */
export interface GatewayLimits {
  /** Milliseconds, {@link HEADERS_MS}. */
  readonly headersMs: number
  /** Milliseconds, {@link HEADERS_CHECK_MS}. */
  readonly headersCheckMs: number
  /** Milliseconds, {@link KEEP_ALIVE_MS}. */
  readonly keepAliveMs: number
  /** Milliseconds, {@link UPLOAD_IDLE_MS}. */
  readonly uploadIdleMs: number
  /** Milliseconds, {@link STALLED_READER_MS}. */
  readonly stalledReaderMs: number
  /** Milliseconds, {@link LINGER_MS}. */
  readonly lingerMs: number
  /** Bytes, {@link LINGER_BYTES_MAX}. */
  readonly lingerBytesMax: number
  /** {@link CONNECTIONS_MAX}. */
  readonly connectionsMax: number
  /** {@link REQUESTS_MAX}. */
  readonly requestsMax: number
  /** {@link NARS_AT_ONCE_MAX}. */
  readonly narsAtOnceMax: number
  /** Bytes, {@link UNCLAIMED_BYTES_MAX}. */
  readonly unclaimedBytesMax: number
  /** Milliseconds, {@link UNCLAIMED_MS}. */
  readonly unclaimedMs: number
  /** Bytes, {@link STRANGER_ALLOWANCE_BYTES_MAX}. */
  readonly strangerAllowanceBytes: number
  /** Bytes, {@link LOG_BYTES_MAX}. */
  readonly logBytesMax: number
  /** Bytes, {@link LISTING_BYTES_MAX}. */
  readonly listingBytesMax: number
  /** Bytes, {@link SMALL_DOCUMENT_BYTES_MAX}. */
  readonly smallDocumentBytesMax: number
}

/** What is allowed where nothing else is said. */
export const GATEWAY_LIMITS: GatewayLimits = {
  headersMs: HEADERS_MS,
  headersCheckMs: HEADERS_CHECK_MS,
  keepAliveMs: KEEP_ALIVE_MS,
  uploadIdleMs: UPLOAD_IDLE_MS,
  stalledReaderMs: STALLED_READER_MS,
  lingerMs: LINGER_MS,
  lingerBytesMax: LINGER_BYTES_MAX,
  connectionsMax: CONNECTIONS_MAX,
  requestsMax: REQUESTS_MAX,
  narsAtOnceMax: NARS_AT_ONCE_MAX,
  unclaimedBytesMax: UNCLAIMED_BYTES_MAX,
  unclaimedMs: UNCLAIMED_MS,
  strangerAllowanceBytes: STRANGER_ALLOWANCE_BYTES_MAX,
  logBytesMax: LOG_BYTES_MAX,
  listingBytesMax: LISTING_BYTES_MAX,
  smallDocumentBytesMax: SMALL_DOCUMENT_BYTES_MAX,
}
