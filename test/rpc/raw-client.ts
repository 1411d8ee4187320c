import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { CLIENT_OPTIONS } from '../../src/rpc/rpc-options.ts'
import {
  NODE_METHODS,
  SERVICE_METHODS,
  serviceName,
  type WireMethod,
  wireMethod,
} from '../../src/rpc/wire-service.ts'

/** How a call ended. */
export interface Ended {
  readonly code: status
  readonly details: string
  /** The messages that came. */
  readonly messages: readonly Buffer[]
}

/** A method of tvix's services, or of the node's own. */
export function methodOf(service: string, name: string): WireMethod {
  if (service === 'NodeService') {
    const kind = NODE_METHODS[name as keyof typeof NODE_METHODS]
    return wireMethod('cairn.node.v1.NodeService', name, kind)
  }
  const known = service as keyof typeof SERVICE_METHODS
  const kinds: Record<string, 'unary' | 'download' | 'upload'> = SERVICE_METHODS[known]
  return wireMethod(serviceName('tvix', known), name, kinds[name]!)
}

/** A client that sends any bytes at all, and tells how the call ended. */
export class RawClient implements Disposable {
  readonly client: Client
  readonly #metadata = new Metadata()

  constructor(_components: object, init: { address: string; token?: string }) {
    this.client = new Client(init.address, credentials.createInsecure(), CLIENT_OPTIONS)
    if (init.token !== undefined) this.#metadata.set('authorization', `Bearer ${init.token}`)
  }

  /** Calls a method with these messages; one that takes a single message gets the first. */
  async call(service: string, name: string, ...requests: readonly Uint8Array[]): Promise<Ended> {
    const method = methodOf(service, name)
    const sent = requests.map((it) => Buffer.from(it))
    const { path, requestSerialize: to, responseDeserialize: from } = method
    const messages: Buffer[] = []
    const { promise, resolve } = Promise.withResolvers<ServiceError | null>()
    const done = (error: ServiceError | null, answer?: Buffer): void => {
      if (answer !== undefined) messages.push(answer)
      resolve(error)
    }
    if (method.requestStream) {
      const stream = this.client.makeClientStreamRequest(path, to, from, this.#metadata, done)
      for (const message of sent) stream.write(message)
      stream.end()
    } else if (method.responseStream) {
      this.client
        .makeServerStreamRequest(path, to, from, sent[0]!, this.#metadata)
        .on('data', (message: Buffer) => messages.push(message))
        .on('error', (error) => resolve(error as ServiceError))
        .on('end', () => resolve(null))
    } else {
      this.client.makeUnaryRequest(path, to, from, sent[0]!, this.#metadata, done)
    }
    const error = await promise
    return { code: error?.code ?? status.OK, details: error?.details ?? '', messages }
  }

  [Symbol.dispose](): void {
    this.client.close()
  }
}
