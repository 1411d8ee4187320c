import { Directory, type Entry } from '../castore/model/directory.ts'
import { DirectoryNode, type Node } from '../castore/model/node.ts'

/** A place in a tree whose node may not be known yet, since its content is still being stored. */
export interface Slot {
  /** Undefined for the root. */
  readonly name: Uint8Array | undefined
  node: Node | undefined
}

interface DirectoryDraft {
  readonly slot: Slot
  readonly slots: Slot[]
}

/** Builds Directories from the leaves up, while the nodes of their files come in any order. */
export class TreeBuilder {
  /** The node of the whole, once all is known. */
  readonly root: Slot = { name: undefined, node: undefined }
  readonly #open: DirectoryDraft[] = []
  /** Closed and not yet made, children before their parents. */
  #closed: DirectoryDraft[] = []

  /** How many closed Directories wait for their nodes, or to be taken. */
  get waiting(): number {
    return this.#closed.length
  }

  /** Adds an entry to the innermost open directory, or the root. */
  add(name: Uint8Array | undefined, node?: Node): Slot {
    const directory = this.#open.at(-1)
    if (directory === undefined) {
      this.root.node = node
      return this.root
    }
    const slot: Slot = { name, node }
    directory.slots.push(slot)
    return slot
  }

  openDirectory(name: Uint8Array | undefined): void {
    this.#open.push({ slot: this.add(name), slots: [] })
  }

  closeDirectory(): void {
    this.#closed.push(this.#open.pop()!)
  }

  /** Makes the closed Directories whose nodes are all known; children before their parents. */
  take(): Directory[] {
    const made: Directory[] = []
    for (const { slot, slots } of this.#closed) {
      const entries = knownEntries(slots)
      if (entries === undefined) break
      const directory = Directory.of(entries)
      slot.node = new DirectoryNode(directory.digest, directory.size)
      made.push(directory)
    }
    this.#closed = this.#closed.slice(made.length)
    return made
  }
}

function knownEntries(slots: readonly Slot[]): Entry[] | undefined {
  const entries: Entry[] = []
  for (const { name, node } of slots) {
    if (node === undefined) return undefined
    entries.push({ name: name!, node })
  }
  return entries
}
