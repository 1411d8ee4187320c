import { open } from 'node:fs/promises'
import type { Elsewhere } from '../castore/stores/record-content.ts'
import { OPEN_IN_PLACE } from '../foundation/open-flags.ts'
import { systemErrorCode } from '../foundation/system-error.ts'
import { decodeWhereabouts } from './whereabouts-codec.ts'

/** Reads content in place, from the files of the machine's own store. */
export class StoreFiles implements Elsewhere {
  #onLost: (path: Buffer) => void = () => undefined

  /** Has somebody told of files that are not any more what they were, or are gone. */
  onLost(handler: (path: Buffer) => void): void {
    this.#onLost = handler
  }

  async read(whereabouts: Uint8Array, size: number): Promise<Uint8Array | undefined> {
    const where = decodeWhereabouts(whereabouts)
    if (where === undefined) return undefined
    try {
      await using file = await open(where.path, OPEN_IN_PLACE)
      const bytes = Buffer.allocUnsafeSlow(size)
      let filled = 0
      while (filled < size) {
        const rest = size - filled
        const { bytesRead } = await file.read(bytes, filled, rest, where.offset + filled)
        if (bytesRead === 0) return undefined
        filled += bytesRead
      }
      return bytes
    } catch (error) {
      if (isGone(error)) return undefined
      throw error
    }
  }

  lost(whereabouts: Uint8Array): void {
    const where = decodeWhereabouts(whereabouts)
    if (where !== undefined) this.#onLost(where.path)
  }
}

/** Whether there is no such file any more; that it can not be read just now is another matter. */
function isGone(error: unknown): boolean {
  const code = systemErrorCode(error) ?? ''
  return ['ENOENT', 'ENOTDIR', 'ELOOP', 'EISDIR', 'EACCES'].includes(code)
}
