import type { BlobWriter, ChunkRef } from '../castore/blob-store.ts'
import type { Castore } from '../castore/castore.ts'
import { CHUNK_BYTES_MIN } from '../castore/chunking/fast-cdc.ts'
import { FileNode, type Node, SymlinkNode } from '../castore/model/node.ts'
import type { Call } from '../foundation/call.ts'
import type { NarVisitor } from './nar-reader.ts'
import { OrderedTelling, type Stretch } from './ordered-telling.ts'
import { type Slot, TreeBuilder } from './tree-builder.ts'

/** With this many bytes, a batch of small files is stored. */
const BATCH_BYTES = 4 * 1024 * 1024

/** With this many files, a batch is stored. */
const BATCH_FILES = 1024

/**
 * When the NAR has gone on for so many bytes, a batch is stored: its contents are views of the
 * pieces that came, and may keep all of them in memory.
 */
const BATCH_SPAN_BYTES = 8 * 1024 * 1024

/** How many stores of batches, and commits of large files, are under way at once. */
export const STORES_UNDER_WAY_MAX = 3

/** With this many Directories, they are put. */
const BATCH_DIRECTORIES = 512

const NOTHING = new Uint8Array(0)

interface FileDraft {
  readonly slot: Slot
  readonly size: number
  readonly executable: boolean
  /** Of a small file: a view of the piece that brought it all, or a buffer being filled. */
  content: Uint8Array
  filled: number
}

/** What is to be done for files that are too large to be held, in their order. */
type LargeFileStep =
  | { readonly do: 'open'; readonly before: number }
  | { readonly do: 'write'; readonly bytes: Uint8Array }
  | { readonly do: 'commit'; readonly file: FileDraft }

/**
 * Stores what a NAR reader finds. A visitor cannot wait, so that it only notes what is to be done;
 * {@link settle} does it, and has to be awaited between pieces.
 */
export class NarIntake implements NarVisitor, AsyncDisposable {
  readonly #into: Castore
  readonly #call: Call
  readonly #tree = new TreeBuilder()

  #file: FileDraft | undefined
  #batch: FileDraft[] = []
  #batchBytes = 0
  #batchSpan = 0
  #steps: LargeFileStep[] = []
  #writer: BlobWriter | undefined
  readonly #telling: OrderedTelling | undefined
  /** What is told of the large file that is being written. */
  #stretch: Stretch | undefined
  readonly #underWay: Promise<void>[] = []

  /** `onStored` is told of each chunk once it is stored, in the order of the NAR. */
  constructor(into: Castore, call: Call, onStored?: (chunk: ChunkRef) => void) {
    this.#into = into
    this.#call = call
    if (onStored !== undefined) this.#telling = new OrderedTelling(onStored)
  }

  directory(name: Uint8Array | undefined): void {
    this.#tree.openDirectory(name)
  }

  directoryEnd(): void {
    this.#tree.closeDirectory()
  }

  symlink(name: Uint8Array | undefined, target: Uint8Array): void {
    this.#tree.add(name, new SymlinkNode(target))
  }

  file(name: Uint8Array | undefined, size: number, executable: boolean): void {
    this.#file = { slot: this.#tree.add(name), size, executable, content: NOTHING, filled: 0 }
    if (size > CHUNK_BYTES_MIN) this.#steps.push({ do: 'open', before: this.#batch.length })
  }

  content(bytes: Uint8Array): void {
    const file = this.#file!
    if (file.size > CHUNK_BYTES_MIN) {
      this.#steps.push({ do: 'write', bytes })
    } else if (bytes.length === file.size) {
      file.content = bytes
    } else {
      if (file.filled === 0) file.content = Buffer.allocUnsafeSlow(file.size)
      file.content.set(bytes, file.filled)
      file.filled += bytes.length
    }
  }

  fileEnd(): void {
    const file = this.#file!
    if (file.size > CHUNK_BYTES_MIN) {
      this.#steps.push({ do: 'commit', file })
    } else {
      this.#batch.push(file)
      this.#batchBytes += file.size
    }
  }

  /** Does what was noted in the course of so many bytes; waits where too much is under way. */
  async settle(narBytes: number): Promise<void> {
    if (this.#steps.length > 0) await this.#writeLargeFiles()
    if (this.#batch.length > 0) this.#batchSpan += narBytes
    if (
      this.#batch.length >= BATCH_FILES ||
      this.#batchBytes >= BATCH_BYTES ||
      this.#batchSpan >= BATCH_SPAN_BYTES
    ) {
      await this.#storeBatch()
    }
    if (this.#tree.waiting >= BATCH_DIRECTORIES) await this.#storeAll()
  }

  /** Stores what is left; says the root. */
  async finish(): Promise<Node> {
    await this.#storeAll()
    return this.#tree.root.node!
  }

  /** Contents first, then the Directories that refer to them. */
  async #storeAll(): Promise<void> {
    await this.#storeBatch()
    while (this.#underWay.length > 0) await this.#oldest()
    const directories = this.#tree.take()
    if (directories.length > 0) await this.#into.directories.put(directories, this.#call)
  }

  async #writeLargeFiles(): Promise<void> {
    const steps = this.#steps
    this.#steps = []
    let taken = 0
    for (const step of steps) {
      if (step.do === 'open') {
        if (this.#telling === undefined) {
          this.#writer = this.#into.blobs.create()
        } else {
          await this.#storeBefore(step.before - taken)
          taken = Math.max(taken, step.before)
          const stretch = this.#telling.begin()
          this.#stretch = stretch
          this.#writer = this.#into.blobs.create((chunk) => stretch.tell(chunk))
        }
      } else if (step.do === 'write') {
        await this.#writer!.write(step.bytes, this.#call)
      } else {
        const writer = this.#writer!
        const stretch = this.#stretch
        this.#writer = undefined
        this.#stretch = undefined
        await this.#begin(() => this.#commit(writer, step.file, stretch))
      }
    }
  }

  async #commit(
    blob: BlobWriter,
    { slot, size, executable }: FileDraft,
    stretch: Stretch | undefined,
  ): Promise<void> {
    await using writer = blob
    slot.node = new FileNode(await writer.commit(this.#call), size, executable)
    stretch?.end()
  }

  /** Small files that come before a large one are told before it, and so are stored first. */
  async #storeBefore(count: number): Promise<void> {
    const files = this.#batch.splice(0, Math.max(0, count))
    for (const { size } of files) this.#batchBytes -= size
    if (files.length > 0) await this.#beginSmall(files)
  }

  async #storeBatch(): Promise<void> {
    const files = this.#batch
    this.#batch = []
    this.#batchBytes = 0
    this.#batchSpan = 0
    if (files.length > 0) await this.#beginSmall(files)
  }

  async #beginSmall(files: readonly FileDraft[]): Promise<void> {
    const stretch = this.#telling?.begin()
    await this.#begin(() => this.#putSmall(files, stretch))
  }

  async #putSmall(files: readonly FileDraft[], stretch: Stretch | undefined): Promise<void> {
    const contents = files.map(({ content }) => content)
    const digests = await this.#into.blobs.putSmall(contents, this.#call)
    for (const [i, { slot, size, executable }] of files.entries()) {
      slot.node = new FileNode(digests[i]!, size, executable)
      if (size > 0) stretch?.tell({ digest: digests[i]!, size })
    }
    stretch?.end()
  }

  /** Begins to store something, once few enough stores are under way. */
  async #begin(store: () => Promise<void>): Promise<void> {
    while (this.#underWay.length >= STORES_UNDER_WAY_MAX) await this.#oldest()
    const stored = store()
    stored.catch(() => undefined) // thrown where it is awaited
    this.#underWay.push(stored)
  }

  async #oldest(): Promise<void> {
    await this.#underWay[0]
    this.#underWay.shift()
  }

  /** Ends what is under way and abandons the file being written. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#underWay)
    await this.#writer?.[Symbol.asyncDispose]()
  }
}
