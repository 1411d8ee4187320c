import { CastoreError } from '../../castore/castore-error.ts'
import type { DirectorySource } from '../../castore/directory-store.ts'
import { Directory } from '../../castore/model/directory.ts'
import type { Call } from '../../foundation/call.ts'
import type { Digest } from '../../foundation/digest.ts'
import type { FetchProgress } from '../../substitution/fetch-progress.ts'
import type { AnswerItem } from '../exchange/exchange-session.ts'
import { WANTS_MAX, type Want } from '../exchange/want.ts'
import { peerError } from '../peer-error.ts'
import { askInTurn } from './ask-in-turn.ts'
import type { ContentFetchComponents } from './content-fetch-components.ts'
import type { HolderSet } from './holder-set.ts'

/** How many bytes of Directories one root may have below it. */
export const CLOSURE_BYTES_MAX = 256 * 1024 * 1024

/** About how many bytes of Directories are expected, for the cap on what is in flight. */
const EXPECTED_BYTES = 256 * 1024

/** What it works with, and whom it tells how many have come. */
export interface DirectoryFetchComponents extends ContentFetchComponents {
  readonly progress?: Pick<FetchProgress, 'directoriesFetched'>
}

/**
 * All Directories below a root, parents first: from the local store where it has them, else from
 * the holders. Where parts of the tree are here, as of another version of the same thing, only the
 * others are asked for, level by level; otherwise all come in two round trips. They are not stored
 * yet.
 * @throws PeerError 'no-holder'
 */
export async function fetchDirectories(
  root: Digest,
  holders: HolderSet,
  components: DirectoryFetchComponents,
  call: Call,
): Promise<Directory[]> {
  const intake = new DirectoryIntake(root, components)
  const takeHeld = (): Promise<boolean> => intake.takeHeld(components.castore.directories, call)
  const ask = async (want: DirectoryWant): Promise<void> => {
    await fetchInto(intake, want, holders, components, call)
  }
  await takeHeld()
  if (!intake.isWhole) await ask({ type: 'directories', digests: [root] })
  if (intake.isWhole) return intake.directories
  if (!(await takeHeld())) {
    await ask({ type: 'closure', root })
    return intake.directories
  }
  while (!intake.isWhole) {
    await ask({ type: 'directories', digests: intake.missing.slice(0, WANTS_MAX) })
    await takeHeld()
  }
  return intake.directories
}

type DirectoryWant = Extract<Want, { type: 'closure' | 'directories' }>

/** Asks one holder after the other until all that is wanted is here. @throws PeerError */
async function fetchInto(
  intake: DirectoryIntake,
  wanted: DirectoryWant,
  holders: HolderSet,
  components: ContentFetchComponents,
  call: Call,
): Promise<void> {
  const left = (): DirectoryWant | undefined => {
    if (wanted.type === 'closure') return intake.isWhole ? undefined : wanted
    const digests = wanted.digests.filter((it) => !intake.has(it))
    return digests.length === 0 ? undefined : { type: 'directories', digests }
  }
  const { whole, failure } = await askInTurn(
    holders,
    components,
    async (peer) => {
      const want = left() // one who failed may have given something
      if (want === undefined) return 'enough'
      const onAnswer = (answer: AnswerItem): void => intake.take(peer, want, answer)
      await components.client.ask(peer, { want, bytes: EXPECTED_BYTES, onAnswer }, call)
      return left() === undefined ? 'enough' : 'more'
    },
    call,
  )
  if (whole || left() === undefined) return
  throw peerError({ code: 'no-holder', digest: intake.missing[0]!.hex }, failure)
}

/**
 * Takes Directories as they come: the root first, then only what something before it refers to.
 * What was taken stays, whoever gave it: it is what its digest says.
 */
class DirectoryIntake {
  readonly #wanted: Map<string, Digest>
  readonly #taken = new Map<string, Directory>()
  readonly #progress: DirectoryFetchComponents['progress']
  #bytes = 0

  constructor(root: Digest, components: Pick<DirectoryFetchComponents, 'progress'>) {
    this.#progress = components.progress
    this.#wanted = new Map([[root.hex, root]])
  }

  /** Whether all below the root is here. */
  get isWhole(): boolean {
    return this.#wanted.size === 0
  }

  /** What is here, parents first. */
  get directories(): Directory[] {
    return [...this.#taken.values()]
  }

  /** What is referred to, and not here. */
  get missing(): Digest[] {
    return [...this.#wanted.values()]
  }

  has(digest: Digest): boolean {
    return this.#taken.has(digest.hex)
  }

  /** Takes what the store has of what is missing, with all below it; says whether that is any. */
  async takeHeld(held: DirectorySource, call: Call): Promise<boolean> {
    let any = false
    for (const digest of this.missing) {
      const below = await heldBelow(digest, held, call)
      for (const directory of below) if (!this.has(directory.digest)) this.#add(directory)
      any ||= below.length > 0
    }
    return any
  }

  /** @throws PeerError where the answer is none, or is wrong */
  take(peer: string, want: DirectoryWant, answer: AnswerItem): void {
    if (answer.type === 'absent') return
    if (answer.type !== 'directories') {
      const what = `${answer.type} instead of Directories`
      throw peerError({ code: 'protocol-broken', peer, what })
    }
    for (const encoded of answer.encoded) this.#takeOne(peer, want, encoded)
  }

  #takeOne(peer: string, want: DirectoryWant, encoded: Uint8Array): void {
    const directory = decoded(peer, encoded)
    const { hex } = directory.digest
    // Of a closure that is asked for again some have come before.
    if (want.type === 'closure' && this.#taken.has(hex)) return
    if (!this.#wanted.has(hex)) throw peerError({ code: 'content-corrupt', peer, digest: hex })
    this.#bytes += encoded.length
    if (this.#bytes > CLOSURE_BYTES_MAX) {
      const what = `more than ${CLOSURE_BYTES_MAX} bytes of Directories`
      throw peerError({ code: 'protocol-broken', peer, what })
    }
    if (this.#progress !== undefined) this.#progress.directoriesFetched++
    this.#add(directory)
  }

  #add(directory: Directory): void {
    this.#wanted.delete(directory.digest.hex)
    this.#taken.set(directory.digest.hex, directory)
    for (const { node } of directory.entries) {
      if (node.type !== 'directory' || this.#taken.has(node.digest.hex)) continue
      this.#wanted.set(node.digest.hex, node.digest)
    }
  }
}

/** A Directory and all below it, parents first; nothing where one of them is not held. */
async function heldBelow(
  digest: Digest,
  directories: DirectorySource,
  call: Call,
): Promise<Directory[]> {
  try {
    const held: Directory[] = []
    for await (const directory of directories.closure(digest, call)) held.push(directory)
    return held
  } catch (error) {
    if (error instanceof CastoreError && error.fault.code === 'incomplete') return []
    throw error
  }
}

function decoded(peer: string, encoded: Uint8Array): Directory {
  try {
    return Directory.decode(encoded)
  } catch (cause) {
    throw peerError({ code: 'content-corrupt', peer, digest: 'a Directory' }, cause)
  }
}
