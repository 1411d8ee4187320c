import { createRequire } from 'node:module'
import type {
  handleBidiStreamingCall,
  Server,
  ServiceDefinition,
  UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { loadDescriptors } from './descriptors.ts'

type Handler = handleBidiStreamingCall<unknown, unknown>

/** A reflection service as the package makes it. */
interface Reflection {
  readonly definition: ServiceDefinition
  readonly implementation: UntypedServiceImplementation
}

/** The versions of the protocol, by the names of their services. */
const SERVICES = [
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
] as const

const METHOD = 'ServerReflectionInfo'

/**
 * Adds server reflection, which is made when somebody first asks for it: going through the
 * descriptors takes a quarter of a node's whole start, and hardly anybody asks.
 */
export function addReflection(server: Server): void {
  let made: ReadonlyMap<string, Reflection> | undefined
  const real = (path: string): Reflection => {
    made ??= makeReflection()
    const reflection = made.get(path)
    if (reflection === undefined) throw new Error(`@grpc/reflection has no ${path} any more`)
    return reflection
  }
  for (const service of SERVICES) {
    const path = `/${service}/${METHOD}`
    const method = () => real(path).definition[METHOD]!
    const definition: ServiceDefinition = {
      [METHOD]: {
        path,
        requestStream: true,
        responseStream: true,
        requestSerialize: (message: unknown) => method().requestSerialize(message),
        requestDeserialize: (bytes: Buffer) => method().requestDeserialize(bytes),
        responseSerialize: (message: unknown) => method().responseSerialize(message),
        responseDeserialize: (bytes: Buffer) => method().responseDeserialize(bytes),
      },
    }
    const handle: Handler = (call) => (real(path).implementation[METHOD] as Handler)(call)
    server.addService(definition, { [METHOD]: handle })
  }
}

/** The services of the package, by the paths of their methods. */
function makeReflection(): ReadonlyMap<string, Reflection> {
  const require = createRequire(import.meta.url)
  const { ReflectionService } = require('@grpc/reflection') as typeof import('@grpc/reflection')
  const made = new Map<string, Reflection>()
  const taker = {
    addService: (definition: ServiceDefinition, implementation: UntypedServiceImplementation) => {
      made.set(definition[METHOD]!.path, { definition, implementation })
    },
  }
  new ReflectionService(loadDescriptors()).addToServer(taker)
  return made
}
