import type { RecordStore } from '../castore/record-store.ts'
import type { Call } from '../foundation/call.ts'
import type { UploadedNar } from './uploaded-nar.ts'
import { decodeUploadedNar, encodeUploadedNar } from './uploaded-nar-codec.ts'

/**
 * Remembers what uploaded NARs became, by the SHA-256 of the NAR. A client uploads the NAR first
 * and names it in a narinfo later, perhaps after a restart.
 */
export class UploadedNarStore {
  readonly #records: RecordStore

  constructor(components: { records: RecordStore }) {
    this.#records = components.records
  }

  async get(narSha256: Uint8Array, call: Call): Promise<UploadedNar | undefined> {
    const [encoded] = await this.#records.get('uploaded-nar', [narSha256], call)
    return encoded === undefined ? undefined : decodeUploadedNar(encoded)
  }

  /** Resolves once the record, and the content put before it, are on stable storage. */
  async put(nar: UploadedNar, call: Call): Promise<void> {
    const record = { key: nar.narSha256, bytes: encodeUploadedNar(nar) }
    await this.#records.put('uploaded-nar', [record], call)
    await this.#records.sync(call)
  }
}
