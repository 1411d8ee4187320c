import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/**
 * Writes to standard output, no faster than that is read. That whoever reads has seen enough, as
 * `head` has, is no error.
 */
export async function writeOut(pieces: AsyncIterable<string | Uint8Array>): Promise<void> {
  process.stdout.on('error', () => undefined) // told by the pipeline
  try {
    await pipeline(Readable.from(pieces), process.stdout, { end: false })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error
  }
}
