const SIZES: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  K: 1000,
  KB: 1000,
  M: 1000 ** 2,
  MB: 1000 ** 2,
  G: 1000 ** 3,
  GB: 1000 ** 3,
  T: 1000 ** 4,
  TB: 1000 ** 4,
  KIB: 1024,
  MIB: 1024 ** 2,
  GIB: 1024 ** 3,
  TIB: 1024 ** 4,
}

const SPANS: Readonly<Record<string, number>> = {
  s: 1000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

/** Bytes of a text such as `20GB` or `1.5 GiB`; undefined where it is no size. */
export function parseByteSize(text: string): number | undefined {
  return product(text, SIZES, (unit) => unit.toUpperCase())
}

/** Milliseconds of a text such as `30d` or `12 h`; undefined where it is no span of time. */
export function parseSpan(text: string): number | undefined {
  return product(text, SPANS, (unit) => unit.toLowerCase())
}

function product(
  text: string,
  units: Readonly<Record<string, number>>,
  spelled: (unit: string) => string,
): number | undefined {
  const [, number, unit = ''] = /^\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*$/.exec(text) ?? []
  const factor = Object.hasOwn(units, spelled(unit)) ? units[spelled(unit)] : undefined
  if (number === undefined || factor === undefined) return undefined
  const value = Math.round(Number(number) * factor)
  return Number.isSafeInteger(value) ? value : undefined
}
