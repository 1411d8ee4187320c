/** The longest message that is taken, in bytes: what gRPC's own clients take by default, too. */
export const MESSAGE_BYTES_MAX = 4 * 1024 * 1024

/** The longest block of headers that is taken, in bytes; Node's HTTP/2 enforces it. */
export const HEADER_BYTES_MAX = 65_535

/** Bytes of a blob in one message of a stream. Longer ones cost memory and bring no speed. */
export const PIECE_BYTES_MAX = 256 * 1024

/** Bytes of messages that wait for a slow reader before more are made for it. */
export const SEND_BYTES_MAX = 1024 * 1024

/** How many connections from other machines are kept at once. */
export const REMOTE_CONNECTIONS_MAX = 128

/** How many from this machine: counted apart, so that strangers can not lock the owner out. */
export const LOCAL_CONNECTIONS_MAX = 1024

/** How many calls may be under way on one connection. */
export const STREAMS_PER_CONNECTION_MAX = 128

/** How long a new connection may take to begin as HTTP/2 does. */
export const PREFACE_MS = 10_000

/** How long a connection may be without a call. */
export const CONNECTION_IDLE_MS = 10 * 60_000

/** How long one that was asked politely to go after that may linger. */
export const CONNECTION_LINGER_MS = 30_000

/** How long an upload may send nothing, and a reader take nothing, before the call is ended. */
export const STREAM_IDLE_MS = 60_000

/** How often a quiet connection is probed, and how long the answer may take. */
export const KEEPALIVE_MS = 60_000
export const KEEPALIVE_ANSWER_MS = 20_000

/** How long a stopping server lets calls finish that are under way. */
export const DRAIN_MS = 5_000

/** How many Directories one stream may hold, in either direction. */
export const CLOSURE_DIRECTORIES_MAX = 262_144

/** Their bytes in one upload. */
export const CLOSURE_BYTES_MAX = 1024 * 1024 * 1024

/** How many uploaded Directories are stored at once. */
export const DIRECTORY_BATCH_MAX = 256

/** How many chunks of a blob are told; the list of a blob that has more is left out. */
export const STAT_CHUNKS_MAX = 65_536

/** Characters of an error that are told. */
export const ERROR_LENGTH_MAX = 2_000

/** How long a remote store may keep its client waiting for the next sign of life. */
export const REMOTE_ANSWER_MS = 60_000

/** How long for a PathInfo: the other end may have to measure a NAR, or to fetch it. */
export const REMOTE_PATH_INFO_MS = 600_000

/** How many calls one request to a remote store becomes at once. */
export const REMOTE_CALLS_MAX = 16

/** The longest chunk that is read from a remote store in one piece, in bytes. */
export const REMOTE_CHUNK_BYTES_MAX = 4 * 1024 * 1024

/** The waits before a lost connection is tried again: the first, and the longest. */
export const RECONNECT_MS = 200
export const RECONNECT_MS_MAX = 5_000

/** How much a client may have on its way to the server, in bytes, over all of its calls. */
export const RECEIVE_WINDOW_BYTES = 1024 * 1024
