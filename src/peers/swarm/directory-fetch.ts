import { CastoreError } from '../../castore/castore-error.ts'
import { Directory } from '../../castore/model/directory.ts'
import type { Call } from '../../foundation/call.ts'
import type { Digest } from '../../foundation/digest.ts'
import type { AnswerItem } from '../exchange/exchange-session.ts'
import { peerError } from '../peer-error.ts'
import { askInTurn } from './ask-in-turn.ts'
import type { ContentFetchComponents } from './content-fetch-components.ts'
import type { HolderSet } from './holder-set.ts'

/** How many bytes of Directories one root may have below it. */
export const CLOSURE_BYTES_MAX = 256 * 1024 * 1024

/** About how many bytes of Directories are expected, for the cap on what is in flight. */
const EXPECTED_BYTES = 256 * 1024

/**
 * All Directories below a root, parents first: from the local store where it has them, else from
 * one of the holders in one round trip. They are not stored yet.
 * @throws PeerError 'no-holder'
 */
export async function fetchDirectories(
  root: Digest,
  holders: HolderSet,
  components: ContentFetchComponents,
  call: Call,
): Promise<Directory[]> {
  const held = await heldDirectories(root, components, call)
  if (held !== undefined) return held
  let directories: Directory[] = []
  const { whole, failure } = await askInTurn(
    holders,
    components,
    async (peer) => {
      const intake = new DirectoryIntake(root, peer)
      const want = { type: 'closure', root } as const
      const onAnswer = (answer: AnswerItem): void => intake.take(answer)
      await components.client.ask(peer, { want, bytes: EXPECTED_BYTES, onAnswer }, call)
      directories = intake.finish()
      return 'enough'
    },
    call,
  )
  if (!whole) throw peerError({ code: 'no-holder', digest: root.hex }, failure)
  return directories
}

/** The same Directories, every child before all that refer to it. */
export function leavesFirst(directories: readonly Directory[]): Directory[] {
  const byDigest = new Map(directories.map((directory) => [directory.digest.hex, directory]))
  const ordered: Directory[] = []
  // An explicit stack: a hostile tree may be deeper than the language's own.
  const stack = directories.length > 0 ? [{ directory: directories[0]!, next: 0 }] : []
  const met = new Set(stack.map(({ directory }) => directory.digest.hex))
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const entry = top.directory.entries[top.next++]
    if (entry === undefined) {
      ordered.push(top.directory)
      stack.pop()
      continue
    }
    if (entry.node.type !== 'directory' || met.has(entry.node.digest.hex)) continue
    met.add(entry.node.digest.hex)
    const child = byDigest.get(entry.node.digest.hex)
    if (child !== undefined) stack.push({ directory: child, next: 0 })
  }
  return ordered
}

async function heldDirectories(
  root: Digest,
  { castore }: ContentFetchComponents,
  call: Call,
): Promise<Directory[] | undefined> {
  try {
    const held: Directory[] = []
    for await (const directory of castore.directories.closure(root, call)) held.push(directory)
    return held.length > 0 ? held : undefined
  } catch (error) {
    if (error instanceof CastoreError && error.fault.code === 'incomplete') return undefined
    throw error
  }
}

/** Takes a closure as it comes: the root first, then only what something before it refers to. */
class DirectoryIntake {
  readonly #root: Digest
  readonly #peer: string
  readonly #wanted: Set<string>
  readonly #taken = new Map<string, Directory>()
  #bytes = 0

  constructor(root: Digest, peer: string) {
    this.#root = root
    this.#peer = peer
    this.#wanted = new Set([root.hex])
  }

  take(answer: AnswerItem): void {
    if (answer.type === 'absent') throw this.#absent(this.#root.hex)
    if (answer.type !== 'directories') {
      const what = `${answer.type} instead of Directories`
      throw peerError({ code: 'protocol-broken', peer: this.#peer, what })
    }
    for (const encoded of answer.encoded) this.#takeOne(encoded)
  }

  finish(): Directory[] {
    const [missing] = this.#wanted
    if (missing !== undefined) throw this.#absent(missing)
    return [...this.#taken.values()]
  }

  #takeOne(encoded: Uint8Array): void {
    this.#bytes += encoded.length
    if (this.#bytes > CLOSURE_BYTES_MAX) {
      const what = `more than ${CLOSURE_BYTES_MAX} bytes of Directories`
      throw peerError({ code: 'protocol-broken', peer: this.#peer, what })
    }
    const directory = this.#decoded(encoded)
    if (!this.#wanted.delete(directory.digest.hex)) {
      throw this.#corrupt(directory.digest.hex)
    }
    this.#taken.set(directory.digest.hex, directory)
    for (const { node } of directory.entries) {
      if (node.type !== 'directory' || this.#taken.has(node.digest.hex)) continue
      this.#wanted.add(node.digest.hex)
    }
  }

  #decoded(encoded: Uint8Array): Directory {
    try {
      return Directory.decode(encoded)
    } catch (cause) {
      throw this.#corrupt('a Directory', cause)
    }
  }

  #absent(digest: string): Error {
    return peerError({ code: 'absent', peer: this.#peer, digest })
  }

  #corrupt(digest: string, cause?: unknown): Error {
    return peerError({ code: 'content-corrupt', peer: this.#peer, digest }, cause)
  }
}
