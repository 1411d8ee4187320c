import { fileURLToPath } from 'node:url'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import {
  type DescriptorProto,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
} from '@bufbuild/protobuf/wkt'
import { loadSync, type PackageDefinition } from '@grpc/proto-loader'
import { protoPath as healthProto } from 'grpc-health-check'

const PROTOS = fileURLToPath(new URL('../../protos', import.meta.url))

/** What is described to clients that know no .proto; these files import all the others. */
const FILES = [
  'tvix/castore/v1/rpc_blobstore.proto',
  'tvix/castore/v1/rpc_directory.proto',
  'tvix/store/v1/rpc_pathinfo.proto',
  'snix/castore/v1/rpc_blobstore.proto',
  'snix/castore/v1/rpc_directory.proto',
  'snix/store/v1/rpc_pathinfo.proto',
  'cairn/node/v1/node.proto',
]

/**
 * The descriptors of all services, read from `protos/`, names as they are written there; one file
 * for each package. proto-loader leaves out which file imports which, and shortens the names of
 * types and of the entries of maps; clients such as grpcurl and evans resolve nothing without, so
 * that all of it is put back.
 */
export function loadDescriptors(): PackageDefinition {
  const options = { keepCase: true, includeDirs: [PROTOS] }
  const loaded = { ...loadSync(FILES, options), ...loadSync(healthProto, options) }
  const files = new Map<string, FileDescriptorProto>()
  for (const { fileDescriptorProtos } of Object.values(loaded)) {
    if (!Array.isArray(fileDescriptorProtos)) continue // a service, described with its messages
    for (const bytes of fileDescriptorProtos as Buffer[]) {
      const file = fromBinary(FileDescriptorProtoSchema, bytes)
      nameMapEntries(file.messageType)
      files.set(file.name, file)
    }
  }
  const owners = new Map<string, string>()
  for (const file of files.values()) {
    for (const name of typeNames(file.package, file)) owners.set(name, file.name)
  }
  const fileDescriptorProtos = [...files.values()].map((file) =>
    Buffer.from(toBinary(FileDescriptorProtoSchema, linked(file, owners))),
  )
  return Object.fromEntries(
    Object.entries(loaded).map(([name, it]) => [
      name,
      Array.isArray(it.fileDescriptorProtos) ? { ...it, fileDescriptorProtos } : it,
    ]),
  ) as PackageDefinition
}

type Scope = Pick<DescriptorProto, 'enumType'> & { readonly nestedType: DescriptorProto[] }

/** Full names of all types of a file. */
function typeNames(scope: string, file: FileDescriptorProto): string[] {
  return namesIn(scope, { enumType: file.enumType, nestedType: file.messageType })
}

function namesIn(scope: string, { enumType, nestedType }: Scope): string[] {
  return [
    ...enumType.map(({ name }) => `${scope}.${name}`),
    ...nestedType.flatMap((it) => [`${scope}.${it.name}`, ...namesIn(`${scope}.${it.name}`, it)]),
  ]
}

/** The entries of a map `statuses` are a message `StatusesEntry`; here they were `Statuses`. */
function nameMapEntries(messages: readonly DescriptorProto[]): void {
  for (const { field, nestedType } of messages) {
    for (const entry of nestedType) {
      if (entry.options?.mapEntry !== true || entry.name.endsWith('Entry')) continue
      for (const it of field) if (it.typeName === entry.name) it.typeName += 'Entry'
      entry.name += 'Entry'
    }
    nameMapEntries(nestedType)
  }
}

/** The file with types by their full names, and with what it imports. */
function linked(
  file: FileDescriptorProto,
  owners: ReadonlyMap<string, string>,
): FileDescriptorProto {
  const imports = new Set<string>()
  const link = (scope: string, name: string): string => {
    const full = resolved(scope, name, owners)
    const owner = owners.get(full)
    if (owner === undefined) throw new Error(`no .proto describes ${name}, which ${scope} uses`)
    if (owner !== file.name) imports.add(owner)
    return `.${full}`
  }
  const linkFields = (scope: string, messages: readonly DescriptorProto[]): void => {
    for (const message of messages) {
      const inner = `${scope}.${message.name}`
      for (const field of message.field) {
        if (field.typeName !== '') field.typeName = link(inner, field.typeName)
      }
      linkFields(inner, message.nestedType)
    }
  }
  linkFields(file.package, file.messageType)
  for (const { method } of file.service) {
    for (const it of method) {
      it.inputType = link(file.package, it.inputType)
      it.outputType = link(file.package, it.outputType)
    }
  }
  return create(FileDescriptorProtoSchema, { ...file, dependency: [...imports] })
}

/** The full name, without a leading dot, of what a name means within a scope. */
function resolved(scope: string, name: string, owners: ReadonlyMap<string, string>): string {
  if (name.startsWith('.')) return name.slice(1)
  for (let at = scope; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('.')))) {
    if (owners.has(`${at}.${name}`)) return `${at}.${name}`
  }
  return name
}
