import { status } from '@grpc/grpc-js'
import { expect, test } from 'vitest'
import { CastoreError, invalid } from '../../src/castore/castore-error.ts'
import { DeadlineError } from '../../src/foundation/clock.ts'
import { malformed, NarError } from '../../src/nar/nar-error.ts'
import { NixError } from '../../src/nix/nix-error.ts'
import { PathInfoError } from '../../src/pathinfo/path-info-error.ts'
import { rpcError, toServiceError } from '../../src/rpc/rpc-error.ts'
import { ERROR_LENGTH_MAX } from '../../src/rpc/rpc-limits.ts'
import { SubstitutionError } from '../../src/substitution/substitution-error.ts'

const digest = '00'

const full = Object.assign(new Error('x'), { code: 'EDQUOT' })

test.each([
  [rpcError('not-found', 'x'), 'NOT_FOUND'],
  [rpcError('not-owner', 'x'), 'PERMISSION_DENIED'],
  [rpcError('not-held', 'x'), 'FAILED_PRECONDITION'],
  [rpcError('too-much', 'x'), 'RESOURCE_EXHAUSTED'],
  [rpcError('stopping', 'x'), 'UNAVAILABLE'],
  [rpcError('cancelled', 'x'), 'CANCELLED'],
  [invalid('x'), 'INVALID_ARGUMENT'],
  [new CastoreError({ code: 'incomplete', digest }, 'x'), 'FAILED_PRECONDITION'],
  [new CastoreError({ code: 'digest-mismatch', digest }, 'x'), 'DATA_LOSS'],
  [new CastoreError({ code: 'record-corrupt', where: 'x' }, 'x'), 'DATA_LOSS'],
  [new CastoreError({ code: 'store-unusable', path: 'x' }, 'x'), 'UNAVAILABLE'],
  [malformed('too-deep', 0, 'x'), 'INVALID_ARGUMENT'],
  [new NarError({ code: 'blob-size', digest }, 'x'), 'INVALID_ARGUMENT'],
  [new NarError({ code: 'blob-missing', digest }, 'x'), 'FAILED_PRECONDITION'],
  [new NarError({ code: 'path-changed', path: 'x' }, 'x'), 'INTERNAL'],
  [new NixError({ code: 'bad-key', what: 'x' }, 'x'), 'INVALID_ARGUMENT'],
  [new PathInfoError({ code: 'bad-path-info', what: 'x' }, 'x'), 'INVALID_ARGUMENT'],
  [new PathInfoError({ code: 'untrusted', storePath: 'x' }, 'x'), 'PERMISSION_DENIED'],
  [
    new SubstitutionError({ code: 'offers-failed', storePathHash: 'x', causes: [] }, 'x'),
    'UNAVAILABLE',
  ],
  [new DeadlineError('x', 1), 'DEADLINE_EXCEEDED'],
  [new Error('x', { cause: new Error('y', { cause: full }) }), 'RESOURCE_EXHAUSTED'],
  [new Error('x'), 'INTERNAL'],
  ['x', 'INTERNAL'],
] as const)('%j is %s', (error, expected) => {
  expect(status[toServiceError(error).code!]).toBe(expected)
})

test('what is told fits into a header', () => {
  const { details } = toServiceError(new Error(`\ud800${'x'.repeat(100_000)}`))
  expect(details).toHaveLength(ERROR_LENGTH_MAX)
  expect(() => encodeURI(details!)).not.toThrow()
})
