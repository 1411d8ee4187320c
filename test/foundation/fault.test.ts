import { expect, test } from 'vitest'
import { FaultError } from '../../src/foundation/fault.ts'

class HouseError extends FaultError<{ readonly code: 'on-fire'; readonly room: string }> {}

test('an error bears its class’s name, the fault for code and the message for people', () => {
  const cause = new Error('candle')
  const error = new HouseError({ code: 'on-fire', room: 'attic' }, 'the attic burns', { cause })
  expect(error).toBeInstanceOf(Error)
  expect(error.name).toBe('HouseError')
  expect(error.fault).toEqual({ code: 'on-fire', room: 'attic' })
  expect(error.cause).toBe(cause)
  expect(`${error}`).toBe('HouseError: the attic burns')
})
