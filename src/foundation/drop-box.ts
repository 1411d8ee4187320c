import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Length of the longest note that is read, in bytes. */
export const NOTE_BYTES_MAX = 1024 * 1024

/** What a note is called once all of it is there, and while it is written. */
const [WHOLE, PARTIAL] = ['.note', '.partial']

/** A note in a drop box. */
export interface DroppedNote {
  readonly name: string
  readonly text: string
}

/**
 * Leaves a note in a directory for a process that may not run now; it is there whole, or not at
 * all, once this resolves. The directory is made where it is missing.
 */
export async function dropNote(directory: string, text: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o755 })
  const name = join(directory, randomUUID())
  const file = await open(`${name}${PARTIAL}`, 'wx', 0o644)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${name}${PARTIAL}`, `${name}${WHOLE}`)
}

/** The notes in a directory, oldest first; those that are too long are removed. */
export async function droppedNotes(directory: string): Promise<readonly DroppedNote[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  const found: { name: string; mtimeMs: number }[] = []
  for (const name of names) {
    if (!name.endsWith(WHOLE)) continue
    const { size, mtimeMs } = await stat(join(directory, name))
    if (size > NOTE_BYTES_MAX) await removeNote(directory, name)
    else found.push({ name, mtimeMs })
  }
  found.sort((a, b) => a.mtimeMs - b.mtimeMs || (a.name < b.name ? -1 : 1))
  const notes: DroppedNote[] = []
  for (const { name } of found) {
    notes.push({ name, text: await readFile(join(directory, name), 'utf8') })
  }
  return notes
}

/** Takes a note out of the directory. */
export async function removeNote(directory: string, name: string): Promise<void> {
  await rm(join(directory, name), { force: true })
}
