/** The longest message that is taken, in bytes. */
export const MESSAGE_BYTES_MAX = 4 * 1024 * 1024

/** How much may be on its way on one connection, in bytes; HTTP/2's own 64 KiB make it wait. */
const WINDOW_BYTES = 4 * 1024 * 1024

/** How gRPC channels are tuned, at both ends. */
export const RPC_OPTIONS = {
  'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
  'grpc-node.flow_control_window': WINDOW_BYTES,
}
