import { parseByteRanges } from '../../../src/gateway/byte-range.ts'
import { wantsZstd } from '../../../src/gateway/content-coding.ts'
import { debugInfoName, logName, realisationName } from '../../../src/gateway/document-name.ts'
import { GatewayError } from '../../../src/gateway/gateway-error.ts'
import { narLocation, narUrl } from '../../../src/gateway/nar-url.ts'
import { pathInfoOf } from '../../fixtures/claims.ts'
import { type FuzzTarget, holds } from '../fuzz-target.ts'

const BODY_BYTES = 1000

/** A target for a text that comes in a URL or a header. */
function text(
  name: string,
  seeds: readonly string[],
  check: (text: string) => void,
  dictionary: readonly string[],
): FuzzTarget {
  return {
    name,
    seeds: seeds.map((it) => Buffer.from(it)),
    dictionary: ['..', '/', '%2f', '\\', '\0', '?', '#', '\u2028', ...dictionary],
    isRefusal: (error) => error instanceof GatewayError,
    check: (input) => check(Buffer.from(input).toString('utf8')),
  }
}

/** Whatever is accepted as a name leads nowhere else. */
function leadsNowhere(name: string): void {
  holds(!/[\\/\0%#]|^\.\.?$/.test(name), `${JSON.stringify(name)} leads somewhere else`)
}

export const GATEWAY_TARGETS: readonly FuzzTarget[] = [
  text(
    'nar-url',
    [narUrl(pathInfoOf('path')), `nar/${'0'.repeat(52)}.nar.xz`],
    (it) => {
      const location = narLocation(it)
      if (location.kind === 'file') leadsNowhere(location.name)
      else holds(location.narSize === undefined || location.narSize >= 0, 'a size is a number')
    },
    ['nar/', 'snix-castore/', 'tvix-castore/', 'narsize=', '&path='],
  ),
  text(
    'byte-range',
    ['bytes=0-9', 'bytes=-5', 'bytes=990-', 'bytes=0-1, 5-6, 900-'],
    (it) => {
      let end = -1
      for (const { offset, length } of parseByteRanges(it, BODY_BYTES) ?? []) {
        holds(offset > end && length > 0, 'ranges are in order and apart')
        end = offset + length - 1
        holds(end < BODY_BYTES, 'ranges are within the body')
      }
    },
    ['bytes=', '-', ',', '99999999999999999999'],
  ),
  text('accept-encoding', ['zstd', 'gzip, zstd;q=0.5, *;q=0'], (it) => void wantsZstd(it), [
    'zstd',
    ';q=',
    '0.0001',
    '*',
  ]),
  text(
    'document-names',
    [
      `${'0'.repeat(32)}-hello.drv`,
      `sha256:${'0f'.repeat(32)}!out.doi`,
      `${'ab'.repeat(20)}.debug`,
    ],
    (it) => {
      const names = [logName, realisationName, debugInfoName].flatMap((read) => attempt(read, it))
      if (names.length === 0) logName(it)
      for (const { name } of names) leadsNowhere(name)
    },
    ['.drv', '!', '.doi', '.debug', 'sha256:'],
  ),
]

function attempt<T>(read: (text: string) => T, given: string): T[] {
  try {
    return [read(given)]
  } catch (error) {
    if (error instanceof GatewayError) return []
    throw error
  }
}
