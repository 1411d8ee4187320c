import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { seededRandom } from '../../src/foundation/random.ts'
import type { FuzzTarget } from './fuzz-target.ts'
import { mutated } from './mutate.ts'

/** One input must not take longer than this; a decoder that hangs is as bad as one that crashes. */
export const INPUT_MS_MAX = 2_000

const CORPUS = join(import.meta.dirname, 'corpus')

/** An input that broke a decoder, and how. */
export class Finding extends Error {
  readonly input: Uint8Array

  constructor(target: FuzzTarget, input: Uint8Array, cause: unknown) {
    const why = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)
    const hex = Buffer.from(input.subarray(0, 200)).toString('hex')
    super(`${target.name} breaks on ${input.length} bytes (${hex}…): ${why}`, { cause })
    this.input = input
  }
}

/** Tries one input; says whether it was accepted. @throws Finding */
export async function tryInput(target: FuzzTarget, input: Uint8Array): Promise<boolean> {
  const begun = performance.now()
  // A copy: a decoder that changed its input would spoil the pool.
  const copy = Uint8Array.from(input)
  let accepted = true
  try {
    await target.check(copy)
  } catch (error) {
    if (!target.isRefusal(error)) throw new Finding(target, input, error)
    accepted = false
  }
  const ms = performance.now() - begun
  if (ms > INPUT_MS_MAX) {
    throw new Finding(target, input, new Error(`it took ${Math.round(ms)} ms`))
  }
  return accepted
}

/** Seeds and corpus of a target: what mutation begins from. @throws Finding where one breaks it */
export async function poolOf(target: FuzzTarget): Promise<Uint8Array[]> {
  for (const seed of target.seeds) {
    if (!(await tryInput(target, seed))) {
      throw new Finding(target, seed, new Error('a seed of the fuzzer is not accepted'))
    }
  }
  const kept = await corpusOf(target.name)
  for (const input of kept) await tryInput(target, input)
  return [...target.seeds, ...kept]
}

/** What once broke a decoder, or led somewhere new. */
async function corpusOf(name: string): Promise<Uint8Array[]> {
  const directory = join(CORPUS, name)
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  return await Promise.all(names.sort().map((it) => readFile(join(directory, it))))
}

/** Keeps an input in the corpus; says where. */
export async function keep(target: FuzzTarget, input: Uint8Array): Promise<string> {
  const directory = join(CORPUS, target.name)
  await mkdir(directory, { recursive: true })
  const name = createHash('sha256').update(input).digest('hex').slice(0, 16)
  const path = join(directory, name)
  await writeFile(path, input)
  return path
}

/** Tries so many mutated inputs from a seed; says how many were accepted. @throws Finding */
export async function fuzz(target: FuzzTarget, init: { seed: number; runs: number }) {
  const random = seededRandom(init.seed)
  const pool = await poolOf(target)
  let accepted = 0
  for (let i = 0; i < init.runs; i++) {
    if (await tryInput(target, mutated(pool, target.dictionary, random))) accepted++
  }
  return { accepted }
}
