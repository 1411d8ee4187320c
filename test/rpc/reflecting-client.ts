import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { create, createFileRegistry, type DescFile, fromBinary, toBinary } from '@bufbuild/protobuf'
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt'
import {
  type Client,
  type ClientDuplexStream,
  credentials,
  loadPackageDefinition,
  type Metadata,
  type ServiceClientConstructor,
} from '@grpc/grpc-js'
import { loadFileDescriptorSetFromBuffer, loadSync } from '@grpc/proto-loader'

const require = createRequire(import.meta.url)

/** The two versions of the reflection service that there are. */
export const REFLECTION_VERSIONS = ['v1', 'v1alpha'] as const

export type ReflectionVersion = (typeof REFLECTION_VERSIONS)[number]

interface ReflectionAnswer {
  readonly listServicesResponse?: { readonly service: readonly { readonly name: string }[] }
  readonly fileDescriptorResponse?: { readonly fileDescriptorProto: readonly Buffer[] }
  readonly errorResponse?: { readonly errorMessage: string }
}

/** A plain message, as the descriptors have it. */
export type Message = Record<string, unknown>

/** What a server tells of itself to one who knows no .proto. */
export interface Reflected {
  readonly services: readonly string[]
  /** All files, checked as strictly as other languages do: each import named, each type found. */
  readonly files: readonly DescFile[]
  /** One message for one. */
  unary(service: string, method: string, request: Message, metadata?: Metadata): Promise<Message>
  /** One message for many. */
  download(service: string, method: string, request: Message): Promise<Message[]>
  /** One message for many, each handed on as it comes. */
  each(
    service: string,
    method: string,
    request: Message,
    take: (message: Message) => void,
  ): Promise<void>
  /** Many messages for one. */
  upload(service: string, method: string, requests: readonly Message[]): Promise<Message>
  [Symbol.dispose](): void
}

/** Asks a server for its descriptors, and calls its services by them alone. */
export async function reflect(
  address: string,
  version: ReflectionVersion = 'v1',
): Promise<Reflected> {
  const asked = asking(address, version)
  const { listServicesResponse } = await asked.ask({ listServices: '*' })
  const services = listServicesResponse!.service.map(({ name }) => name)
  const protos = new Map<string, FileDescriptorProto>()
  for (const symbol of services) {
    const answer = await asked.ask({ fileContainingSymbol: symbol })
    for (const bytes of answer.fileDescriptorResponse!.fileDescriptorProto) {
      const file = fromBinary(FileDescriptorProtoSchema, bytes)
      protos.set(file.name, file)
    }
  }
  asked.end()
  const file = importsFirst(protos)
  const set = create(FileDescriptorSetSchema, { file })
  const registry = createFileRegistry(set)
  const definition = loadFileDescriptorSetFromBuffer(
    Buffer.from(toBinary(FileDescriptorSetSchema, set)),
    { keepCase: true, longs: Number, defaults: true, enums: String },
  )
  const clients = new Map<string, Client>()
  for (const service of services) {
    let at: unknown = loadPackageDefinition(definition)
    for (const part of service.split('.')) at = (at as Record<string, unknown>)[part]
    const Service = at as ServiceClientConstructor
    clients.set(service, new Service(address, credentials.createInsecure()))
  }
  return {
    services,
    files: [...registry.files],
    ...callers(clients),
    [Symbol.dispose]: () => {
      for (const client of clients.values()) client.close()
    },
  }
}

type Method = (...args: unknown[]) => {
  write(message: Message): boolean
  end(): void
  [Symbol.asyncIterator](): AsyncIterator<Message>
}

function callers(clients: ReadonlyMap<string, Client>) {
  const method = (service: string, name: string): Method => {
    const client = clients.get(service) as unknown as Record<string, Method>
    return client[name]!.bind(client)
  }
  return {
    unary: (service: string, name: string, request: Message, metadata?: Metadata) =>
      new Promise<Message>((resolve, reject) => {
        const done = (error: unknown, answer: Message): void =>
          error === null ? resolve(answer) : reject(error)
        method(service, name)(...[request, ...(metadata === undefined ? [] : [metadata]), done])
      }),
    download: async (service: string, name: string, request: Message) => {
      const messages: Message[] = []
      for await (const message of method(service, name)(request)) messages.push(message)
      return messages
    },
    each: async (
      service: string,
      name: string,
      request: Message,
      take: (message: Message) => void,
    ) => {
      for await (const message of method(service, name)(request)) take(message)
    },
    upload: (service: string, name: string, requests: readonly Message[]) =>
      new Promise<Message>((resolve, reject) => {
        const done = (error: unknown, answer: Message): void =>
          error === null ? resolve(answer) : reject(error)
        const stream = method(service, name)(done)
        for (const request of requests) stream.write(request)
        stream.end()
      }),
  }
}

/** The reflection service itself, by the .proto that every reflecting client is built with. */
function asking(address: string, version: ReflectionVersion) {
  const root = join(dirname(require.resolve('@grpc/reflection')), '../proto')
  const definition = loadSync(`grpc/reflection/${version}/reflection.proto`, {
    includeDirs: [root],
    oneofs: true,
  })
  const name = `grpc.reflection.${version}.ServerReflection`
  const service = definition[name] as unknown as Record<string, never>
  const { [version]: at } = (
    loadPackageDefinition({ [name]: service }) as unknown as {
      grpc: { reflection: Record<string, { ServerReflection: ServiceClientConstructor }> }
    }
  ).grpc.reflection
  const client = new at!.ServerReflection(address, credentials.createInsecure())
  const stream = (
    client as unknown as { ServerReflectionInfo(): ClientDuplexStream<Message, ReflectionAnswer> }
  ).ServerReflectionInfo()
  const ask = (request: Message): Promise<ReflectionAnswer> =>
    new Promise((resolve, reject) => {
      stream.once('data', (answer: ReflectionAnswer) => {
        if (answer.errorResponse === undefined || answer.errorResponse === null) resolve(answer)
        else reject(new Error(answer.errorResponse.errorMessage))
      })
      stream.once('error', reject)
      stream.write(request)
    })
  const end = (): void => {
    stream.end()
    stream.on('end', () => client.close())
    stream.resume()
  }
  return { ask, end }
}

function importsFirst(files: ReadonlyMap<string, FileDescriptorProto>): FileDescriptorProto[] {
  const sorted = new Set<FileDescriptorProto>()
  const add = (name: string): void => {
    const file = files.get(name)
    if (file === undefined) throw new Error(`${name} is imported but was not sent`)
    for (const imported of file.dependency) add(imported)
    sorted.add(file)
  }
  for (const name of files.keys()) add(name)
  return [...sorted]
}
