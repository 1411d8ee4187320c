import { systemClock } from '../../../src/foundation/system-clock.ts'
import { remoteCastore } from '../../../src/rpc/remote/remote-castore.ts'
import { RemoteChannel } from '../../../src/rpc/remote/remote-channel.ts'
import { RemotePathInfoStore } from '../../../src/rpc/remote/remote-path-info-store.ts'
import { blobStoreContract } from '../../contracts/blob-store-contract.ts'
import { directoryStoreContract } from '../../contracts/directory-store-contract.ts'
import { pathInfoStoreContract } from '../../contracts/path-info-store-contract.ts'
import { testNode } from '../test-node.ts'

for (const { label, unix, family } of [
  { label: 'a node by TCP', unix: false, family: 'tvix' },
  { label: 'a node by a Unix socket', unix: true, family: 'snix' },
] as const) {
  const make = async () => {
    const node = await testNode({ unix })
    const channel = new RemoteChannel({ clock: systemClock }, { address: node.address, family })
    return {
      ...{ ...remoteCastore({ channel }), castore: node.castore },
      pathInfos: new RemotePathInfoStore({ channel }),
      [Symbol.asyncDispose]: async () => {
        channel[Symbol.dispose]()
        await node[Symbol.asyncDispose]()
      },
    }
  }
  blobStoreContract(label, make)
  directoryStoreContract(label, make)
  pathInfoStoreContract(label, make, { rootSignatures: false })
}
