/** Something that runs: `start` resolves once it serves, `stop` once all it began has ended. */
export interface Service {
  readonly name: string
  start(): Promise<void>
  stop(): Promise<void>
}

/**
 * Starts services in turn. Where one fails, those already started are stopped in reverse order and
 * its error is thrown.
 */
export async function startAll(services: readonly Service[]): Promise<void> {
  const started: Service[] = []
  for (const service of services) {
    try {
      await service.start()
      started.push(service)
    } catch (error) {
      await stopAll(started).catch(() => undefined) // the first error is the one to tell
      throw error
    }
  }
}

/** Stops services in reverse order, every one of them, and then throws what went wrong, if any. */
export async function stopAll(services: readonly Service[]): Promise<void> {
  const errors: unknown[] = []
  for (const service of services.toReversed()) {
    try {
      await service.stop()
    } catch (error) {
      errors.push(error)
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, 'some services did not stop cleanly')
}

/**
 * Services as one: they start in turn, and stop at the same time, so that what each of them waits
 * for is waited for once.
 */
export function stoppedTogether(name: string, services: readonly Service[]): Service {
  return {
    name,
    start: () => startAll(services),
    stop: async () => {
      const outcomes = await Promise.allSettled(services.map((service) => service.stop()))
      const errors = outcomes.flatMap((it) => (it.status === 'rejected' ? [it.reason] : []))
      if (errors.length > 0) throw new AggregateError(errors, `${name} did not stop cleanly`)
    },
  }
}
