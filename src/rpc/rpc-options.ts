import {
  ANSWER_BYTES_MAX,
  CLIENT_WINDOW_BYTES,
  CONNECTION_IDLE_MS,
  KEEPALIVE_ANSWER_MS,
  KEEPALIVE_MS,
  MESSAGE_BYTES_MAX,
  RECONNECT_MS,
  RECONNECT_MS_MAX,
  STREAMS_PER_CONNECTION_MAX,
} from './rpc-limits.ts'

/** How gRPC is tuned at both ends. A connection whose other end is gone is found out by pings. */
const COMMON_OPTIONS = {
  'grpc.keepalive_time_ms': KEEPALIVE_MS,
  'grpc.keepalive_timeout_ms': KEEPALIVE_ANSWER_MS,
}

/** How the server is tuned. */
export const SERVER_OPTIONS = {
  ...COMMON_OPTIONS,
  'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
  'grpc.max_concurrent_streams': STREAMS_PER_CONNECTION_MAX,
  'grpc.max_connection_idle_ms': CONNECTION_IDLE_MS,
}

/** How clients are tuned. */
export const CLIENT_OPTIONS = {
  ...COMMON_OPTIONS,
  'grpc.max_receive_message_length': ANSWER_BYTES_MAX,
  'grpc-node.flow_control_window': CLIENT_WINDOW_BYTES,
  'grpc.initial_reconnect_backoff_ms': RECONNECT_MS,
  'grpc.max_reconnect_backoff_ms': RECONNECT_MS_MAX,
  // It would keep a copy of what is sent, to send it again.
  'grpc.enable_retries': 0,
  // It would ask a name server for settings that nobody publishes; on a network that has none,
  // even a call to localhost waits 25 s for it.
  'grpc.service_config_disable_resolution': 1,
}
