/** Instructions in WebAssembly's binary format, in nested parts. */
export type Code = number | readonly Code[]

/** The types of values, by their codes. */
export const TYPES = { i32: 0x7f, f64: 0x7c, v128: 0x7b } as const

/** The one function of a module. */
export interface WasmFunction {
  /** Types by {@link TYPES}; parameters are the first of the locals. */
  readonly parameters: readonly number[]
  readonly locals: readonly number[]
  readonly body: Code
}

/**
 * The bytes of a module that exports a function, `run`, and a `memory` of so many pages of 64 KiB
 * (WebAssembly Core Specification 2.0, §5).
 */
export function wasmModule(run: WasmFunction, pages: number): Uint8Array<ArrayBuffer> {
  const locals = run.locals.map((type): Code => [unsigned(1), type])
  return Uint8Array.from(
    flat([
      [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      section(1, list([[0x60, list(run.parameters), list([])]])),
      section(3, list([0])),
      section(5, list([[0, unsigned(pages)]])),
      section(7, list([exported('memory', 2), exported('run', 0)])),
      section(10, list([sized([list(locals), run.body, 0x0b])])),
    ]),
  )
}

/** The instructions that are needed, each with its operands before it. */
export const wasm = {
  get: (local: number): Code => [0x20, unsigned(local)],
  set: (local: number, value: Code): Code => [value, 0x21, unsigned(local)],

  i32: (value: number): Code => [0x41, signed(value)],
  i32Add: (a: Code, b: Code): Code => [a, b, 0x6a],
  i32Multiply: (a: Code, b: Code): Code => [a, b, 0x6c],
  i32Or: (a: Code, b: Code): Code => [a, b, 0x72],
  i32Equal: (a: Code, b: Code): Code => [a, b, 0x46],
  i32Less: (a: Code, b: Code): Code => [a, b, 0x49],
  i64FromI32: (value: Code): Code => [value, 0xad],
  i64FromF64: (value: Code): Code => [value, 0xb1],
  f64FromI32: (value: Code): Code => [value, 0xb8],
  f64Add: (a: Code, b: Code): Code => [a, b, 0xa0],
  select: (yes: Code, no: Code, condition: Code): Code => [yes, no, condition, 0x1b],

  /** Repeats the body as long as the condition behind it is not zero. */
  repeat: (body: Code, condition: Code): Code => [0x03, 0x40, body, condition, 0x0d, 0, 0x0b],

  load: (address: Code, offset: number): Code => [address, simd(0x00), 0, unsigned(offset)],
  store: (address: Code, offset: number, value: Code): Code => [
    [address, value],
    [simd(0x0b), 0, unsigned(offset)],
  ],
  vector: (bytes: Code): Code => [simd(0x0c), bytes],
  /** Sixteen bytes: those of both operands that the lanes name, 0 to 31. */
  shuffle: (a: Code, b: Code, lanes: Code): Code => [a, b, simd(0x0d), lanes],
  splat32: (value: Code): Code => [value, simd(0x11)],
  splat64: (value: Code): Code => [value, simd(0x12)],
  or: (a: Code, b: Code): Code => [a, b, simd(0x50)],
  xor: (a: Code, b: Code): Code => [a, b, simd(0x51)],
  shiftLeft32: (a: Code, bits: number): Code => [a, wasm.i32(bits), simd(0xab)],
  shiftRight32: (a: Code, bits: number): Code => [a, wasm.i32(bits), simd(0xad)],
  add32: (a: Code, b: Code): Code => [a, b, simd(0xae)],
  add64: (a: Code, b: Code): Code => [a, b, simd(0xce)],
  multiply64: (a: Code, b: Code): Code => [a, b, simd(0xd5)],
}

function simd(operation: number): Code {
  return [0xfd, unsigned(operation)]
}

function section(id: number, content: Code): Code {
  return [id, sized(content)]
}

function sized(content: Code): Code {
  const bytes = flat(content)
  return [unsigned(bytes.length), bytes]
}

function list(items: readonly Code[]): Code {
  return [unsigned(items.length), items]
}

function exported(name: string, kind: number): Code {
  return [list([...Buffer.from(name)]), kind, 0]
}

/** LEB128 of a whole number that is not negative. */
function unsigned(value: number): Code {
  return value < 0x80 ? value : [(value & 0x7f) | 0x80, unsigned(value >>> 7)]
}

/** LEB128 of a whole number of 32 bits, with its sign. */
function signed(value: number): Code {
  if (value >= -0x40 && value < 0x40) return value & 0x7f
  return [(value & 0x7f) | 0x80, signed(value >> 7)]
}

function flat(code: Code, bytes: number[] = []): number[] {
  if (typeof code === 'number') bytes.push(code)
  else for (const part of code) flat(part, bytes)
  return bytes
}
