import { randomBytes } from 'node:crypto'
import { mkdir, open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const MIB = 1024 * 1024

/** Makes a file of random bytes. */
export async function makeBigFile(path: string, bytes: number): Promise<void> {
  await using file = await open(path, 'w')
  for (let at = 0; at < bytes; at += 8 * MIB) {
    await file.write(randomBytes(Math.min(8 * MIB, bytes - at)))
  }
}

/** Makes a directory of small files, 1 to 8 KiB each; says how many bytes they have. */
export async function makeSmallFiles(path: string, count: number): Promise<number> {
  let bytes = 0
  const pool = randomBytes(4 * MIB)
  for (let i = 0; i < count; i++) {
    if (i % 500 === 0) await mkdir(join(path, `d${i / 500}`), { recursive: true })
    const size = 1024 + ((i * 7919) % 7168)
    const content = Buffer.from(pool.subarray((i * 4099) % (4 * MIB - 8192)).subarray(0, size))
    content.writeUInt32LE(i, 0) // no two alike
    await writeFile(join(path, `d${Math.floor(i / 500)}`, `f${i}`), content)
    bytes += size
  }
  return bytes
}

/** Makes a tree of 1 GiB: 20,000 small files, 400 of 1 MiB, two large ones. */
export async function makeMixedTree(path: string): Promise<number> {
  const small = await makeSmallFiles(join(path, 'small'), 20_000)
  await mkdir(join(path, 'medium'))
  for (let i = 0; i < 400; i++) await makeBigFile(join(path, 'medium', `m${i}`), MIB)
  const large = Math.floor((1024 * MIB - small - 400 * MIB) / 2)
  for (const name of ['large-a', 'large-b']) await makeBigFile(join(path, name), large)
  return small + 400 * MIB + 2 * large
}
