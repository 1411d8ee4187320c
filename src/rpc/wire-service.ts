import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js'

/** How messages flow in a method: one each way, many to the client, or many from it. */
export type MethodKind = 'unary' | 'download' | 'upload'

/** A method whose messages are still bytes. */
export type WireMethod = MethodDefinition<Buffer, Buffer>

/** The methods of the three services that tvix and snix have, by service name without package. */
export const SERVICE_METHODS = {
  BlobService: { Stat: 'unary', Read: 'download', Put: 'upload' },
  DirectoryService: { Get: 'download', Put: 'upload' },
  PathInfoService: { Get: 'unary', Put: 'unary', CalculateNAR: 'unary', List: 'download' },
} as const satisfies Record<string, Record<string, MethodKind>>

/** The methods of the service that the command line talks to. */
export const NODE_METHODS = {
  Import: 'unary',
  Fetch: 'download',
  Seed: 'download',
  Cat: 'download',
  List: 'download',
  Status: 'unary',
  Push: 'download',
  Sources: 'unary',
  Peers: 'unary',
  Pardon: 'unary',
  Keys: 'unary',
  Describe: 'unary',
  Limits: 'unary',
  AddSignatures: 'unary',
  Share: 'unary',
  Pin: 'unary',
  Pins: 'unary',
  CleanUp: 'unary',
  Verify: 'download',
  Adopt: 'download',
} as const satisfies Record<string, MethodKind>

/** The two families of names that the same services go by. */
export const FAMILIES = ['tvix', 'snix'] as const

/** A family of names. */
export type Family = (typeof FAMILIES)[number]

/** The full name of a service in a family. */
export function serviceName(family: Family, service: keyof typeof SERVICE_METHODS): string {
  const part = service === 'PathInfoService' ? 'store' : 'castore'
  return `${family}.${part}.v1.${service}`
}

/**
 * A service as gRPC knows it, its messages left as bytes. They are decoded by whoever handles the
 * call, where an error can be told as what it is: gRPC itself would call a malformed request an
 * internal error of the server.
 */
export function wireService(
  name: string,
  methods: Readonly<Record<string, MethodKind>>,
): ServiceDefinition {
  return Object.fromEntries(
    Object.entries(methods).map(([method, kind]) => [method, wireMethod(name, method, kind)]),
  )
}

/** One method of a service. */
export function wireMethod(service: string, method: string, kind: MethodKind): WireMethod {
  return {
    path: `/${service}/${method}`,
    requestStream: kind === 'upload',
    responseStream: kind === 'download',
    requestSerialize: unchanged,
    requestDeserialize: unchanged,
    responseSerialize: unchanged,
    responseDeserialize: unchanged,
  }
}

function unchanged(bytes: Buffer): Buffer {
  return bytes
}
