import type { Castore } from '../../castore/castore.ts'
import { RemoteBlobStore } from './remote-blob-store.ts'
import type { RemoteChannel } from './remote-channel.ts'
import { RemoteDirectoryStore } from './remote-directory-store.ts'

/** Blobs and Directories of another node. It answers only when what was put is safe over there. */
export function remoteCastore(components: { channel: RemoteChannel }): Castore {
  return {
    blobs: new RemoteBlobStore(components),
    directories: new RemoteDirectoryStore(components),
    sync: async () => undefined,
  }
}
