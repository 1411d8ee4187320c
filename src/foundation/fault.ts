/** The least a fault says of itself: a code that code may branch on, never the message's text. */
export interface Fault {
  readonly code: string
}

/**
 * An error that carries a discriminated fault. Each folder derives one class of its own with the
 * union of what can go wrong there; the message is for people, the fault for code.
 */
export abstract class FaultError<F extends Fault> extends Error {
  readonly fault: F

  constructor(fault: F, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
    this.fault = fault
  }
}
