import { expect, test } from 'vitest'
import { LOG_LEVELS, LOG_PARTS, parseLogLevels } from '../../src/daemon/log-levels.ts'

test('one level for all, and others for single parts', () => {
  expect(parseLogLevels('')).toEqual({ level: 'info', parts: new Map() })
  expect(parseLogLevels('warn')).toEqual({ level: 'warn', parts: new Map() })
  expect(parseLogLevels('peers=trace, gateway=silent ,error,')).toEqual({
    level: 'error',
    parts: new Map([
      ['peers', 'trace'],
      ['gateway', 'silent'],
    ]),
  })
})

test('every part can have every level', () => {
  for (const part of LOG_PARTS) {
    for (const level of LOG_LEVELS) {
      expect(parseLogLevels(`${part}=${level}`).parts.get(part)).toBe(level)
    }
  }
})

test.each([
  ['loud', '"loud" is no log level; silent, error, warn, info, debug, trace are'],
  ['info,bees=trace', '"bees" is no part; daemon, store, sharing, retention, adoption, '],
  ['peers=', '"" is no log level'],
  ['peers=loud', '"loud" is no log level'],
  ['=trace', '"" is no part'],
])('%s is refused with what would be right', (text, words) => {
  expect(() => parseLogLevels(text)).toThrow(words)
})
