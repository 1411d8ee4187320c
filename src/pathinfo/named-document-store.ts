import { createHash } from 'node:crypto'
import type { BlobReader } from '../castore/blob-store.ts'
import type { Castore } from '../castore/castore.ts'
import type { RecordStore } from '../castore/record-store.ts'
import { utf8Bytes, utf8Text } from '../foundation/bytes.ts'
import type { Call } from '../foundation/call.ts'
import { Digest } from '../foundation/digest.ts'
import { PathInfoError } from './path-info-error.ts'

/** A document that can be read; its digest changes with its text. */
export interface OpenDocument extends BlobReader {
  readonly digest: Digest
}

/** What documents a cache has beside paths. */
export type DocumentKind = 'log' | 'realisation' | 'build-trace' | 'debuginfo'

/**
 * Documents under names of their own: build logs, realisations, what debuggers ask for. The text is
 * a blob, and a small record points at it, so that a log may be as long as it is.
 */
export class NamedDocumentStore {
  readonly #records: RecordStore
  readonly #castore: Castore

  constructor(components: { records: RecordStore; castore: Castore }) {
    this.#records = components.records
    this.#castore = components.castore
  }

  /** The document, or undefined where there is none of that name. @throws PathInfoError */
  async open(kind: DocumentKind, name: string, call: Call): Promise<OpenDocument | undefined> {
    const [record] = await this.#records.get('document', [keyOf(kind, name)], call)
    if (record === undefined) return undefined
    const digest = digestOf(record, name)
    const blob = await this.#castore.blobs.open(digest, call)
    if (blob === undefined) return undefined
    const read: BlobReader['read'] = (offset, it, length) => blob.read(offset, it, length)
    return { digest, size: blob.size, read }
  }

  /** The blobs of all documents. */
  async *digests(call: Call): AsyncGenerator<Digest> {
    for await (const key of this.#records.keys('document', call)) {
      const [record] = await this.#records.get('document', [key], call)
      if (record !== undefined) yield digestOf(record, 'of that key')
    }
  }

  /** Takes in a document that fits in memory, unless it is just what is there already. */
  async putSmall(kind: DocumentKind, name: string, text: Uint8Array, call: Call): Promise<void> {
    const held = await this.open(kind, name, call)
    if (held?.digest.equals(Digest.ofContent(text)) === true) return
    await this.put(kind, name, once(text), call)
  }

  /**
   * Takes a document in; the latest of a name counts. Resolves once it is on stable storage.
   * @throws what the source throws, and then nothing of that name has changed
   */
  async put(
    kind: DocumentKind,
    name: string,
    content: AsyncIterable<Uint8Array>,
    call: Call,
  ): Promise<void> {
    await using writer = this.#castore.blobs.create()
    for await (const piece of content) await writer.write(piece, call)
    const digest = await writer.commit(call)
    const record = { key: keyOf(kind, name), bytes: utf8Bytes(JSON.stringify({ digest })) }
    await this.#records.put('document', [record], call)
    await this.#records.sync(call)
  }
}

async function* once(text: Uint8Array): AsyncGenerator<Uint8Array> {
  yield text
}

function keyOf(kind: DocumentKind, name: string): Uint8Array {
  return createHash('sha256').update(`${kind} ${name}`).digest()
}

function digestOf(record: Uint8Array, name: string): Digest {
  try {
    return Digest.fromHex(String(JSON.parse(utf8Text(record) ?? '').digest))
  } catch (cause) {
    const what = `what is kept of the document ${name} can not be read`
    throw new PathInfoError({ code: 'bad-path-info', what }, what, { cause })
  }
}
