import { expect } from 'vitest'
import { NixError, type NixFault } from '../../src/nix/nix-error.ts'

/** Runs what must throw a NixError of that code, and gives the error for further questions. */
export function expectNixError(code: NixFault['code'], run: () => unknown): NixError {
  let thrown: unknown
  try {
    run()
  } catch (error) {
    thrown = error
  }
  expect(thrown).toBeInstanceOf(NixError)
  const error = thrown as NixError
  expect(error.fault.code).toBe(code)
  expect(error.message).toContain(error.fault.what)
  return error
}
