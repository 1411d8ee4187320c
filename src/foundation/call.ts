/**
 * What every asynchronous call of the house ends with: the caller's wish to stop waiting.
 * A callee passes it on, and throws the signal's reason once it is aborted.
 */
export interface Call {
  readonly signal: AbortSignal
}

/** A call that nobody will abort: for work that belongs to the node itself, and for tests. */
export function unhurriedCall(): Call {
  return { signal: new AbortController().signal }
}

/**
 * The reason of a signal that ends a wait which nobody waits for any more. One for all: where none
 * is given, Node makes an error with a stack each time, which costs more than the wait.
 */
export const OVER = new Error('it is over')

/** The same call, also ended by `other`. */
export function narrowedCall(call: Call, other: AbortSignal): Call {
  return { signal: AbortSignal.any([call.signal, other]) }
}
