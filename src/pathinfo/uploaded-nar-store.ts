import { createHash } from 'node:crypto'
import type { RecordStore } from '../castore/record-store.ts'
import type { Call } from '../foundation/call.ts'
import type { UploadedNar } from './uploaded-nar.ts'
import { decodeUploadedNar, encodeUploadedNar } from './uploaded-nar-codec.ts'

/**
 * Remembers what uploaded NARs became, by the SHA-256 of the NAR and by the name of the file. A
 * client uploads the NAR first and names it in a narinfo later, perhaps after a restart; and it
 * comes back for the very file, since it keeps the narinfo that it wrote.
 */
export class UploadedNarStore {
  readonly #records: RecordStore

  constructor(components: { records: RecordStore }) {
    this.#records = components.records
  }

  async get(narSha256: Uint8Array, call: Call): Promise<UploadedNar | undefined> {
    return await this.#read(narSha256, call)
  }

  async getFile(fileName: string, call: Call): Promise<UploadedNar | undefined> {
    return await this.#read(fileKey(fileName), call)
  }

  /** Resolves once the record, and the content put before it, are on stable storage. */
  async put(fileName: string, nar: UploadedNar, call: Call): Promise<void> {
    const bytes = encodeUploadedNar(nar)
    const keys = [nar.narSha256, fileKey(fileName)]
    const records = keys.map((key) => ({ key, bytes }))
    await this.#records.put('uploaded-nar', records, call)
    await this.#records.sync(call)
  }

  async #read(key: Uint8Array, call: Call): Promise<UploadedNar | undefined> {
    const [encoded] = await this.#records.get('uploaded-nar', [key], call)
    return encoded === undefined ? undefined : decodeUploadedNar(encoded)
  }
}

/** Not the hash in the name itself: whoever uploads could make it that of another NAR. */
function fileKey(fileName: string): Uint8Array {
  return createHash('sha256').update(`uploaded file ${fileName}`).digest()
}
