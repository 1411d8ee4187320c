import { createHash } from 'node:crypto'
import type { RecordStore } from '../castore/record-store.ts'
import { utf8Bytes, utf8Text } from '../foundation/bytes.ts'
import type { Call } from '../foundation/call.ts'
import { encodeNixBase32 } from '../nix/nix-base32.ts'
import type { StorePath } from '../nix/store-path.ts'
import { PathInfoError } from './path-info-error.ts'

/** How many paths their owner can decide about one by one; patterns do it for more. */
export const SHARE_CHOICES_MAX = 65_536

/** How many choices one reading takes at the start. */
const LOAD_BATCH = 256

/** What is kept of a choice, as JSON. */
interface ChoiceRecord {
  readonly shared: boolean
}

/**
 * What the owner has decided about single paths. All of it is in memory: it is asked for each time
 * that a path is told of.
 */
export class ShareChoices {
  readonly #records: RecordStore
  readonly #byHash: Map<string, boolean>

  private constructor(records: RecordStore, byHash: Map<string, boolean>) {
    this.#records = records
    this.#byHash = byHash
  }

  /** Reads what is kept. @throws PathInfoError where a choice can not be read */
  static async load(components: { records: RecordStore }, call: Call): Promise<ShareChoices> {
    const { records } = components
    const byHash = new Map<string, boolean>()
    const read = async (keys: readonly Uint8Array[]): Promise<void> => {
      for (const [i, bytes] of (await records.get('share-choice', keys, call)).entries()) {
        const hashText = encodeNixBase32(keys[i]!)
        if (bytes !== undefined) byHash.set(hashText, sharedOf(bytes, hashText))
      }
    }
    let batch: Uint8Array[] = []
    for await (const key of records.keys('share-choice', call)) {
      batch.push(key)
      if (batch.length < LOAD_BATCH) continue
      await read(batch)
      batch = []
    }
    await read(batch)
    return new ShareChoices(records, byHash)
  }

  /** What the owner wants of a path, undefined where the policy decides. */
  of(storePath: StorePath): boolean | undefined {
    return this.#byHash.get(storePath.hashText)
  }

  /** Equal for equal choices. */
  get fingerprint(): string {
    const hash = createHash('sha256')
    for (const [hashText, shared] of [...this.#byHash].sort()) hash.update(`${hashText}${shared};`)
    return hash.digest('base64')
  }

  /**
   * Decides about paths, all of them or none; it counts once it is on stable storage.
   * @throws PathInfoError 'too-many-choices'
   */
  async choose(storePaths: readonly StorePath[], shared: boolean, call: Call): Promise<void> {
    const more = new Set(storePaths.map((it) => it.hashText)).difference(this.#byHash)
    if (this.#byHash.size + more.size > SHARE_CHOICES_MAX) {
      const what = `no more than ${SHARE_CHOICES_MAX} paths can be decided about one by one`
      const remedy = 'patterns under [share] in cairn.toml do it for any number'
      throw new PathInfoError({ code: 'too-many-choices' }, `${what}; ${remedy}`)
    }
    const choice: ChoiceRecord = { shared }
    const bytes = utf8Bytes(JSON.stringify(choice))
    const records = storePaths.map(({ hash }) => ({ key: hash, bytes }))
    await this.#records.put('share-choice', records, call)
    await this.#records.sync(call)
    for (const { hashText } of storePaths) this.#byHash.set(hashText, shared)
  }
}

function sharedOf(bytes: Uint8Array, hashText: string): boolean {
  try {
    const { shared } = JSON.parse(utf8Text(bytes) ?? '') as ChoiceRecord
    if (typeof shared === 'boolean') return shared
    throw new TypeError('a choice is true or false')
  } catch (cause) {
    const what = `what is kept of the choice about ${hashText} can not be read`
    throw new PathInfoError({ code: 'bad-path-info', what }, what, { cause })
  }
}
