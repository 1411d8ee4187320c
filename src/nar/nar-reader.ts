import { nameFlaw } from '../castore/model/directory.ts'
import { NAME_BYTES_MAX, SIZE_MAX, TARGET_BYTES_MAX } from '../castore/model/node.ts'
import { compareBytes, printableBytes } from '../foundation/bytes.ts'
import { malformed, tooDeep } from './nar-error.ts'
import { type Keywords, keywords, matchKeywords } from './nar-grammar.ts'
import { NAR_LEVELS_MAX, paddingOf, stringBytes } from './nar-writer.ts'

/** The longest run of bytes that is looked at as a whole. */
const TOKEN_BYTES_MAX = stringBytes(TARGET_BYTES_MAX)

/**
 * Told what a NAR holds, in its order. A name is undefined for the root, and the callee's to keep.
 */
export interface NarVisitor {
  directory(name: Uint8Array | undefined): void
  directoryEnd(): void
  file(name: Uint8Array | undefined, size: number, executable: boolean): void
  /** The next bytes of the file, a view of what was pushed. */
  content(bytes: Uint8Array): void
  fileEnd(): void
  symlink(name: Uint8Array | undefined, target: Uint8Array): void
}

type State =
  | 'magic'
  | 'node'
  | 'size'
  | 'content'
  | 'padding'
  | 'target'
  | 'leaf-end'
  | 'entry'
  | 'name'
  | 'entry-node'
  | 'entry-end'
  | 'end'

interface Choice<N extends string> {
  /** What stands here, for people too. */
  readonly next: N
  readonly words: Keywords
}

type NodeChoice = 'regular' | 'executable' | 'symlink' | 'directory'

const LENGTH_BYTES = 8
const MAGIC_BYTES = keywords('nix-archive-1').bytes.length
const MAGIC = [choice('header', 'nix-archive-1', '(', 'type')]
const NODE: readonly Choice<NodeChoice>[] = [
  choice('regular', 'regular', 'contents'),
  choice('executable', 'regular', 'executable', '', 'contents'),
  choice('symlink', 'symlink', 'target'),
  choice('directory', 'directory'),
]
const ENTRY = [choice('entry', 'entry', '(', 'name'), choice('end', ')')]
const ENTRY_NODE = [choice('node', 'node', '(', 'type')]
const ONE_END = [choice('end', ')')]
const TWO_ENDS = [choice('end', ')', ')')]

function choice<N extends string>(next: N, ...words: string[]): Choice<N> {
  return { next, words: keywords(...words) }
}

/**
 * Reads a NAR that arrives in pieces, telling a visitor what it finds, and holds to all of Nix's
 * limits, and to the one canonical form: whatever it accepts is byte for byte what
 * `nix-store --dump` writes. It keeps no content and at most one name or target between pieces;
 * lengths in the NAR never decide what is allocated.
 */
export class NarReader {
  readonly #visitor: NarVisitor
  #state: State = 'magic'
  /** The piece being read, how far, and where in the NAR it begins. */
  #bytes: Uint8Array = new Uint8Array(0)
  #at = 0
  #base = 0
  /** What the last piece ended with: the beginning of a token. */
  #rest: Uint8Array = new Uint8Array(0)

  /** The latest name in each open directory. */
  readonly #lastNames: (Uint8Array | undefined)[] = []
  #name: Uint8Array | undefined
  #size = 0
  #left = 0
  #executable = false

  constructor(visitor: NarVisitor) {
    this.#visitor = visitor
  }

  /**
   * Reads the next bytes. After an error the reader is of no use any more.
   * @throws NarError where the format is broken, and whatever the visitor throws
   */
  push(bytes: Uint8Array): void {
    let begin = 0
    const held = this.#rest.length
    if (held > 0) {
      const joined = Buffer.concat([this.#rest, bytes.subarray(0, TOKEN_BYTES_MAX)])
      this.#bytes = joined
      this.#at = 0
      while (this.#at < held) {
        if (this.#step()) continue
        this.#rest = joined // all of it: a token that spans pieces begins at its beginning
        return
      }
      begin = this.#at - held
      this.#base += held
    }
    this.#bytes = bytes
    this.#at = begin
    while (this.#at < bytes.length && this.#step()) {}
    this.#rest = new Uint8Array(bytes.subarray(this.#at))
    this.#base += this.#at
  }

  /** Says that nothing follows. @throws NarError where the NAR is not whole */
  end(): void {
    if (this.#state === 'end') return
    throw malformed('truncated', this.#base + this.#rest.length, 'it ends too early')
  }

  /** Reads one token; false where more bytes are needed for that. */
  #step(): boolean {
    switch (this.#state) {
      case 'magic':
        return this.#keyword(MAGIC, () => this.#enter('node'))
      case 'node':
        return this.#keyword(NODE, (type) => this.#beginNode(type))
      case 'size':
        return this.#readSize()
      case 'content':
        return this.#readContent()
      case 'padding':
        return this.#readPadding()
      case 'target':
        return this.#readTarget()
      case 'leaf-end':
        return this.#keyword(this.#isNested ? TWO_ENDS : ONE_END, () => this.#endLeaf())
      case 'entry':
        return this.#keyword(ENTRY, (it) => (it === 'entry' ? this.#beginEntry() : this.#leave()))
      case 'name':
        return this.#readName()
      case 'entry-node':
        return this.#keyword(ENTRY_NODE, () => this.#enter('node'))
      case 'entry-end':
        return this.#keyword(ONE_END, () => this.#enter('entry'))
      case 'end':
        throw malformed('trailing-bytes', this.#offset, 'something follows its end')
    }
  }

  get #offset(): number {
    return this.#base + this.#at
  }

  get #isNested(): boolean {
    return this.#lastNames.length > 0
  }

  #enter(state: State): void {
    this.#state = state
  }

  #beginNode(type: NodeChoice): void {
    if (type === 'directory') {
      this.#visitor.directory(this.#name)
      this.#lastNames.push(undefined)
      this.#enter('entry')
    } else if (type === 'symlink') {
      this.#enter('target')
    } else {
      this.#executable = type === 'executable'
      this.#enter('size')
    }
  }

  #beginEntry(): void {
    if (this.#lastNames.length >= NAR_LEVELS_MAX) throw tooDeep(this.#offset)
    this.#enter('name')
  }

  /** Ends the directory. */
  #leave(): void {
    this.#lastNames.pop()
    this.#visitor.directoryEnd()
    this.#enter(this.#isNested ? 'entry-end' : 'end')
  }

  #endLeaf(): void {
    this.#enter(this.#isNested ? 'entry' : 'end')
  }

  #readName(): boolean {
    const begin = this.#offset
    const name = this.#string(NAME_BYTES_MAX, 'bad-name')
    if (name === undefined) return false
    const flaw = nameFlaw(name)
    if (flaw !== undefined) throw malformed('bad-name', begin, `${flaw}: ${printableBytes(name)}`)
    const last = this.#lastNames.at(-1)
    const order = last === undefined ? -1 : compareBytes(last, name)
    if (order === 0) {
      throw malformed('duplicate', begin, `two entries are named ${printableBytes(name)}`)
    }
    if (order > 0) {
      const names = `${printableBytes(name)} comes after ${printableBytes(last!)}`
      throw malformed('unsorted', begin, `entries are sorted by the bytes of their names: ${names}`)
    }
    this.#lastNames[this.#lastNames.length - 1] = name
    this.#name = name
    this.#enter('entry-node')
    return true
  }

  #readTarget(): boolean {
    const begin = this.#offset
    const target = this.#string(TARGET_BYTES_MAX, 'bad-target')
    if (target === undefined) return false
    if (target.length === 0 || target.includes(0)) {
      throw malformed('bad-target', begin, 'a symlink target is not empty and holds no NUL byte')
    }
    this.#visitor.symlink(this.#name, target)
    this.#enter('leaf-end')
    return true
  }

  #readSize(): boolean {
    const size = this.#length()
    if (size === undefined) return false
    if (size > SIZE_MAX) throw malformed('too-large', this.#offset, `a file of ${size} bytes`)
    this.#at += LENGTH_BYTES
    this.#size = size
    this.#left = size
    this.#visitor.file(this.#name, size, this.#executable)
    if (size === 0) this.#endFile()
    else this.#enter('content')
    return true
  }

  #readContent(): boolean {
    const begin = this.#at
    const end = Math.min(this.#bytes.length, begin + this.#left)
    this.#at = end
    this.#left -= end - begin
    this.#visitor.content(this.#bytes.subarray(begin, end))
    if (this.#left > 0) return true
    if (paddingOf(this.#size) === 0) this.#endFile()
    else this.#enter('padding')
    return true
  }

  #readPadding(): boolean {
    const end = this.#at + paddingOf(this.#size)
    if (this.#bytes.length < end) return false
    this.#checkPadding(this.#at, end)
    this.#at = end
    this.#endFile()
    return true
  }

  #endFile(): void {
    this.#visitor.fileEnd()
    this.#enter('leaf-end')
  }

  /** Reads one of the runs of keywords that may stand here. */
  #keyword<N extends string>(alternatives: readonly Choice<N>[], next: (it: N) => void): boolean {
    const match = matchKeywords(this.#bytes, this.#at, alternatives)
    if (match.kind === 'open') return false
    if (match.kind === 'wrong') {
      const offset = this.#offset + match.distance
      if (match.padding) throw malformed('bad-padding', offset, 'padding is zero')
      if (offset < MAGIC_BYTES) throw malformed('bad-magic', offset, 'it has no NAR header')
      const expected = alternatives.map((it) => it.next).join(' or ')
      throw malformed('bad-token', offset, `expected ${expected}`)
    }
    next(match.choice.next)
    this.#at += match.length
    return true
  }

  /** Reads a short string, which is the caller's to keep. */
  #string(bytesMax: number, code: 'bad-name' | 'bad-target'): Uint8Array | undefined {
    const length = this.#length()
    if (length === undefined) return undefined
    if (length > bytesMax) {
      throw malformed(code, this.#offset, `${length} bytes where ${bytesMax} are allowed`)
    }
    const begin = this.#at + LENGTH_BYTES
    const end = begin + length + paddingOf(length)
    if (this.#bytes.length < end) return undefined
    this.#checkPadding(begin + length, end)
    this.#at = end
    return new Uint8Array(this.#bytes.subarray(begin, begin + length))
  }

  /** The 64-bit length that stands here; inexact beyond 2^53, where all limits are long passed. */
  #length(): number | undefined {
    const at = this.#at
    const bytes = this.#bytes
    if (bytes.length - at < LENGTH_BYTES) return undefined
    let low = 0
    let high = 0
    for (let i = 3; i >= 0; i--) {
      low = low * 256 + bytes[at + i]!
      high = high * 256 + bytes[at + 4 + i]!
    }
    return high * 2 ** 32 + low
  }

  #checkPadding(begin: number, end: number): void {
    for (let i = begin; i < end; i++) {
      if (this.#bytes[i] !== 0) {
        throw malformed('bad-padding', this.#base + i, 'padding is zero')
      }
    }
  }
}
