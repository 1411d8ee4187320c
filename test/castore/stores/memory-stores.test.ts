import { MemoryRecordStore } from '../../../src/castore/stores/memory-record-store.ts'
import { recordCastore } from '../../../src/castore/stores/record-castore.ts'
import { blobStoreContract } from '../../contracts/blob-store-contract.ts'
import { directoryStoreContract } from '../../contracts/directory-store-contract.ts'
import { recordKeeperContract } from '../../contracts/record-keeper-contract.ts'
import { recordStoreContract } from '../../contracts/record-store-contract.ts'

const disposable = { [Symbol.asyncDispose]: async () => undefined }

const memory = async () => Object.assign(new MemoryRecordStore(), disposable)
recordStoreContract('memory', memory)
recordKeeperContract('memory', memory)

const castore = async () => ({
  ...recordCastore({ records: new MemoryRecordStore() }),
  ...disposable,
})
blobStoreContract('records in memory', castore)
directoryStoreContract('records in memory', castore)
