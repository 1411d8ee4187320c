/** The longest message that the gRPC server takes: what gRPC's own clients take by default, too. */
export const MESSAGE_BYTES_MAX = 4 * 1024 * 1024

/** The longest answer that a gRPC client takes: very wide Directories are long. */
export const ANSWER_BYTES_MAX = 64 * 1024 * 1024

/** The longest block of headers that the gRPC server takes; Node's HTTP/2 enforces it. */
export const HEADER_BYTES_MAX = 65_535

/** Bytes of a blob in one gRPC message. Longer ones cost memory and bring no speed. */
export const PIECE_BYTES_MAX = 256 * 1024

/** Bytes of gRPC messages that wait for a slow reader before more are made for it. */
export const SEND_BYTES_MAX = 1024 * 1024

/** How much may be on its way to a gRPC client; HTTP/2's own 64 KiB make it wait. */
export const CLIENT_WINDOW_BYTES = 4 * 1024 * 1024

/** How much a client may have on its way to the gRPC server, over all of its calls. */
export const RECEIVE_WINDOW_BYTES = 1024 * 1024

/** How many gRPC connections from other machines are kept at once. */
export const REMOTE_CONNECTIONS_MAX = 128

/** How many gRPC connections from this machine are kept at once, whoever else has some. */
export const LOCAL_CONNECTIONS_MAX = 1024

/** How many calls may be under way on one gRPC connection. */
export const STREAMS_PER_CONNECTION_MAX = 128

/** How long a new gRPC connection may take to begin as HTTP/2 does. */
export const PREFACE_MS = 10_000

/** How long a gRPC connection may be without a call before it is asked to go. */
export const CONNECTION_IDLE_MS = 10 * 60_000

/** How long a gRPC connection that was asked to go may linger before it is cut. */
export const CONNECTION_LINGER_MS = 30_000

/** How long a gRPC upload may send nothing, or a reader take nothing, before the call is ended. */
export const STREAM_IDLE_MS = 60_000

/** How often a gRPC connection is probed that has been quiet. */
export const KEEPALIVE_MS = 60_000

/** How long the answer to such a probe of a gRPC connection may take. */
export const KEEPALIVE_ANSWER_MS = 20_000

/** How long a stopping gRPC server lets calls finish that are under way. */
export const DRAIN_MS = 5_000

/** How many Directories one gRPC stream may hold, in either direction. */
export const CLOSURE_DIRECTORIES_MAX = 262_144

/** Bytes of Directories in one gRPC upload. */
export const CLOSURE_BYTES_MAX = 1024 * 1024 * 1024

/** How many Directories of a gRPC upload are stored at once. */
export const DIRECTORY_BATCH_MAX = 256

/** How many chunks of a blob are told by gRPC; the list of a blob that has more is left out. */
export const STAT_CHUNKS_MAX = 65_536

/**
 * The longest outboard that is told by gRPC, in bytes: that of a blob of 896 MiB. With the chunks
 * of such a blob it makes a message that clients take by default.
 */
export const STAT_BAO_BYTES_MAX = 3584 * 1024

/** Characters of an error that are told by gRPC. */
export const ERROR_LENGTH_MAX = 2_000

/** How long a remote store may give no sign of life before a call to it is given up. */
export const REMOTE_ANSWER_MS = 60_000

/** How long a remote store may work in silence: measuring a NAR, or fetching a path for us. */
export const REMOTE_WORK_MS = 600_000

/** How many calls to a remote store one request becomes at once. */
export const REMOTE_CALLS_MAX = 16

/** The longest chunk that is read from a remote store in one piece. */
export const REMOTE_CHUNK_BYTES_MAX = 4 * 1024 * 1024

/** The wait before a lost gRPC connection is tried again for the first time. */
export const RECONNECT_MS = 200

/** The longest wait before a lost gRPC connection is tried again. */
export const RECONNECT_MS_MAX = 5_000
