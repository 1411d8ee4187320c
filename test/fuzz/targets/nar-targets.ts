import { MemoryRecordStore } from '../../../src/castore/stores/memory-record-store.ts'
import { recordCastore } from '../../../src/castore/stores/record-castore.ts'
import { ingestNar } from '../../../src/nar/ingest-nar.ts'
import { NarError } from '../../../src/nar/nar-error.ts'
import { NarReader, type NarVisitor } from '../../../src/nar/nar-reader.ts'
import { renderNar } from '../../../src/nar/render-nar.ts'
import { allBytes, call } from '../../fixtures/content.ts'
import { COMPLICATED, inPieces, narOf, narString, nested, SMALL, symlink } from '../../nar/trees.ts'
import { type FuzzTarget, holds } from '../fuzz-target.ts'

const WORDS = [
  ...['nix-archive-1', '(', ')', 'type', 'regular', 'executable', 'contents', '', 'symlink'],
  ...['target', 'directory', 'entry', 'name', 'node', '.', '..', 'a/b', 'a\0b'],
].map((word) => narString(word))

const isNarError = (error: unknown): boolean => error instanceof NarError

/** Whole NARs: what is accepted renders to the very same bytes. */
const nar: FuzzTarget = {
  name: 'nar',
  seeds: [SMALL, COMPLICATED, symlink('x'), nested(5)].map(narOf),
  dictionary: WORDS,
  isRefusal: isNarError,
  check: async (input) => {
    const castore = recordCastore({ records: new MemoryRecordStore() })
    const { node, narSize } = await ingestNar(inPieces(input, [input.length]), castore, call)
    holds(narSize === input.length, 'all of it is counted')
    const rendered = await allBytes(renderNar(node, castore, call))
    holds(rendered.equals(input), 'what is accepted is rendered as it came')
  },
}

/** NARs in pieces: where they are cut changes nothing. */
const narPieces: FuzzTarget = {
  name: 'nar-pieces',
  seeds: nar.seeds,
  dictionary: WORDS,
  isRefusal: isNarError,
  check: (input) => {
    const whole = read(input, input.length)
    const cut = read(input, 1 + (input.length % 13))
    holds(whole.events === cut.events, 'the same is told, whole or in pieces')
    holds(faultOf(whole.error) === faultOf(cut.error), 'the same is wrong, whole or in pieces')
    if (whole.error !== undefined) throw whole.error
  },
}

function read(input: Uint8Array, pieceBytes: number): { events: string; error: unknown } {
  const events: string[] = []
  const shown = (bytes?: Uint8Array): string => Buffer.from(bytes ?? []).toString('hex')
  let content = ''
  const visitor: NarVisitor = {
    directory: (name) => void events.push(`d ${shown(name)}`),
    directoryEnd: () => void events.push('end'),
    file: (name, size, executable) => void events.push(`f ${shown(name)} ${size} ${executable}`),
    content: (bytes) => {
      content += shown(bytes)
    },
    fileEnd: () => {
      events.push(content)
      content = ''
    },
    symlink: (name, target) => void events.push(`s ${shown(name)} ${shown(target)}`),
  }
  const reader = new NarReader(visitor)
  try {
    for (let at = 0; at < input.length; at += Math.max(1, pieceBytes)) {
      reader.push(input.subarray(at, at + Math.max(1, pieceBytes)))
    }
    reader.end()
  } catch (error) {
    return { events: events.join('\n'), error }
  }
  return { events: events.join('\n'), error: undefined }
}

function faultOf(error: unknown): string {
  if (error === undefined) return 'none'
  return error instanceof NarError ? JSON.stringify(error.fault) : String(error)
}

export const NAR_TARGETS: readonly FuzzTarget[] = [nar, narPieces]
