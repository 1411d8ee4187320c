import { createHash } from 'node:crypto'
import type { RecordStore } from '../castore/record-store.ts'
import { utf8Bytes } from '../foundation/bytes.ts'
import type { Call } from '../foundation/call.ts'
import { Digest } from '../foundation/digest.ts'
import type { FoundUpload, UploadedFile, UploadedNar } from './uploaded-nar.ts'
import { decodeUploadedNar, encodeUploadedNar } from './uploaded-nar-codec.ts'

/** What is kept under the name of a file, as JSON; hashes and digests are hexadecimal. */
interface FileRecord {
  readonly narSha256: string
  readonly compression: string
  readonly fileSize: number
  readonly fileSha256: string
  readonly kept?: string
}

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

  async getFile(fileName: string, call: Call): Promise<FoundUpload | undefined> {
    const key = fileKey(fileName)
    const [encoded] = await this.#records.get('uploaded-file', [key], call)
    // Before files had records of their own, NARs were kept under their names, too.
    if (encoded === undefined) return await this.#read(key, call)
    const record = JSON.parse(Buffer.from(encoded).toString()) as FileRecord
    const nar = await this.#read(Buffer.from(record.narSha256, 'hex'), call)
    if (nar === undefined) return undefined
    const file = {
      fileSize: record.fileSize,
      fileSha256: Buffer.from(record.fileSha256, 'hex'),
      kept: record.kept === undefined ? undefined : Digest.fromHex(record.kept),
    }
    return { ...nar, compression: record.compression, file }
  }

  /** Resolves once the records, and the content put before them, are on stable storage. */
  async put(fileName: string, nar: UploadedNar, call: Call, file?: UploadedFile): Promise<void> {
    const bytes = encodeUploadedNar(nar)
    const keys = file === undefined ? [nar.narSha256, fileKey(fileName)] : [nar.narSha256]
    const records = keys.map((key) => ({ key, bytes }))
    await this.#records.put('uploaded-nar', records, call)
    if (file !== undefined) {
      const record = { key: fileKey(fileName), bytes: encodeFile(nar, file) }
      await this.#records.put('uploaded-file', [record], call)
    }
    await this.#records.sync(call)
  }

  /** The NAR that is kept under the key of a record, for who goes through the records. */
  async narAt(key: Uint8Array, call: Call): Promise<UploadedNar | undefined> {
    return await this.#read(key, call)
  }

  /** What is kept under the key of a file's record: the hash of its NAR, and the file itself. */
  async fileAt(
    key: Uint8Array,
    call: Call,
  ): Promise<{ readonly narSha256: Uint8Array; readonly kept: Digest | undefined } | undefined> {
    const [encoded] = await this.#records.get('uploaded-file', [key], call)
    if (encoded === undefined) return undefined
    const { narSha256, kept } = JSON.parse(Buffer.from(encoded).toString()) as FileRecord
    return {
      narSha256: Buffer.from(narSha256, 'hex'),
      kept: kept === undefined ? undefined : Digest.fromHex(kept),
    }
  }

  async #read(key: Uint8Array, call: Call): Promise<UploadedNar | undefined> {
    const [encoded] = await this.#records.get('uploaded-nar', [key], call)
    return encoded === undefined ? undefined : decodeUploadedNar(encoded)
  }
}

function encodeFile(nar: UploadedNar, file: UploadedFile): Uint8Array {
  const record: FileRecord = {
    narSha256: Buffer.from(nar.narSha256).toString('hex'),
    compression: nar.compression,
    fileSize: file.fileSize,
    fileSha256: Buffer.from(file.fileSha256).toString('hex'),
    ...(file.kept === undefined ? {} : { kept: file.kept.hex }),
  }
  return utf8Bytes(JSON.stringify(record))
}

/** Not the hash in the name itself: whoever uploads could make it that of another NAR. */
function fileKey(fileName: string): Uint8Array {
  return createHash('sha256').update(`uploaded file ${fileName}`).digest()
}
