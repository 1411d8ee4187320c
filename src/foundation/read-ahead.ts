/**
 * Maps items in order, with up to `depth` of them being worked on before the one that is yielded,
 * so that the source's latency hides behind the consumer's work. Ends what it began: on an early
 * return the outstanding results are awaited, their errors dropped with them.
 */
export async function* readAhead<T, R>(
  items: AsyncIterable<T> | Iterable<T>,
  depth: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const pending: Promise<R>[] = []
  try {
    for await (const item of items) {
      const result = work(item)
      result.catch(() => undefined) // thrown where it is awaited, in its turn
      pending.push(result)
      if (pending.length > depth) yield await pending.shift()!
    }
    while (pending.length > 0) yield await pending.shift()!
  } finally {
    await Promise.allSettled(pending)
  }
}
