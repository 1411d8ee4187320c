/** A flow between two nodes, by their numbers. */
export interface PlainFlow {
  readonly from: number
  readonly to: number
}

/**
 * What each flow gets, max-min fair, by progressive filling over all links: slow, and what a world's
 * shares are held against (Bertsekas and Gallager, "Data Networks", 6.5.2). Rates in bytes a
 * millisecond, in the order of the flows.
 */
export function progressiveFilling(
  nodes: readonly { readonly up: number; readonly down: number }[],
  flows: readonly PlainFlow[],
): number[] {
  const rates = flows.map(() => 0)
  const rest = nodes.flatMap(({ up, down }) => [up, down])
  const free = new Set(flows.keys())
  const linksOf = ({ from, to }: PlainFlow): [number, number] => [2 * from, 2 * to + 1]
  while (free.size > 0) {
    const counts = rest.map(() => 0)
    for (const i of free) for (const link of linksOf(flows[i]!)) counts[link]!++
    const shares = rest.map((left, link) => (counts[link] === 0 ? Infinity : left / counts[link]!))
    const least = Math.min(...shares)
    for (const i of [...free]) {
      rates[i]! += least
      for (const link of linksOf(flows[i]!)) rest[link]! -= least
    }
    const full = new Set(shares.keys().filter((link) => shares[link]! <= least * (1 + 1e-12)))
    for (const i of [...free]) if (linksOf(flows[i]!).some((it) => full.has(it))) free.delete(i)
  }
  return rates
}
