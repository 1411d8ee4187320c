import type { Random } from './random.ts'

/** The machine's own chance; fit for spreading load, not for keys. */
export const systemRandom: Random = {
  integer: (below) => Math.floor(Math.random() * below),
}
