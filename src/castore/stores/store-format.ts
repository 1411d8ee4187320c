import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemErrorCode } from '../../foundation/system-error.ts'
import { CastoreError } from '../castore-error.ts'

/**
 * The version of the layout on disk; a state directory of a later one is left alone. 1 knew neither
 * removals nor packed content; what it wrote is read as it is.
 */
export const STORE_FORMAT = 2

/** Notes the format in a store's directory, or finds it there. @throws CastoreError */
export async function checkFormat(directory: string): Promise<void> {
  const path = join(directory, 'format')
  const text = await textOf(path)
  const format = text === undefined ? 0 : Number(text)
  if (format === STORE_FORMAT) return
  if (format >= 0 && format < STORE_FORMAT) {
    await writeFile(path, `${STORE_FORMAT}\n`)
    return
  }
  const formats = `format ${text?.trim()}, this program knows ${STORE_FORMAT}`
  const what = `the store in ${directory} has ${formats}`
  throw new CastoreError({ code: 'store-unusable', path: directory }, what)
}

/** Undefined where there is no such file; one that can not be read tells nothing of the format. */
async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    throw error
  }
}
