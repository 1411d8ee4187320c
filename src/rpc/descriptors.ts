import { fileURLToPath } from 'node:url'
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

/** The descriptors of all services, read from `protos/`, names as they are written there. */
export function loadDescriptors(): PackageDefinition {
  const options = { keepCase: true, includeDirs: [PROTOS] }
  return { ...loadSync(FILES, options), ...loadSync(healthProto, options) }
}
