import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { inSpaceOrder } from '../../src/peers/routing/kademlia-id.ts'
import type { Router } from '../../src/peers/routing/router.ts'
import { until } from '../fixtures/await-peers.ts'
import { call } from '../fixtures/content.ts'

/** Two nodes' routers that can reach each other, and who the nodes are. */
export interface RouterPair extends AsyncDisposable {
  readonly a: { readonly router: Router; readonly id: string }
  readonly b: { readonly router: Router; readonly id: string }
}

/** What every router keeps to. Each scenario gets a fresh pair. */
export function routerContract(label: string, make: () => Promise<RouterPair>): void {
  const key = (name: string): Uint8Array => createHash('sha256').update(name).digest()
  /** An announcement may take a moment to arrive. */
  const finds = async (router: Router, name: string, expected: string[]): Promise<void> => {
    await until(async () => (await holders(router, name)).length >= expected.length)
    expect(await holders(router, name)).toEqual(expected)
  }
  const holders = async (router: Router, name: string): Promise<string[]> => {
    const ids: string[] = []
    for await (const { id } of router.holders(key(name), call)) ids.push(id)
    return ids
  }

  test(`${label}: nobody holds what nobody announced`, async () => {
    await using pair = await make()
    expect(await holders(pair.a.router, 'nothing')).toEqual([])
  })

  test(`${label}: what one announces the other finds, with addresses to go to`, async () => {
    await using pair = await make()
    await pair.a.router.announce([key('x')], call)
    await finds(pair.b.router, 'x', [pair.a.id])
    for await (const peer of pair.b.router.holders(key('x'), call)) {
      expect(peer.id).toBe(pair.a.id)
      expect(peer.addresses.length).toBeGreaterThan(0)
    }
    expect(await holders(pair.b.router, 'y')).toEqual([])
  })

  test(`${label}: nobody is told of itself`, async () => {
    await using pair = await make()
    await pair.a.router.announce([key('x')], call)
    await pair.b.router.announce([key('x')], call)
    await finds(pair.a.router, 'x', [pair.b.id])
    await finds(pair.b.router, 'x', [pair.a.id])
  })

  test(`${label}: announcing twice is as good as once`, async () => {
    await using pair = await make()
    await pair.a.router.announce([key('x')], call)
    await pair.a.router.announce([key('x')], call)
    await finds(pair.b.router, 'x', [pair.a.id])
  })

  test(`${label}: withdrawing what was announced, or never was, is no error`, async () => {
    await using pair = await make()
    await pair.a.router.announce([key('x')], call)
    await pair.a.router.withdraw(key('x'), call)
    await pair.a.router.withdraw(key('y'), call)
  })

  test(`${label}: many keys are announced in as many calls as it takes`, async () => {
    await using pair = await make()
    const names = Array.from({ length: 700 }, (_, i) => `many-${i}`)
    let rest = inSpaceOrder(names.map(key))
    while (rest.length > 0) {
      const done = await pair.a.router.announce(rest, call)
      expect(done.keys).toBeGreaterThan(0)
      expect(done.told).toBe(1)
      expect(done.bytes).toBeGreaterThan(0)
      rest = rest.slice(done.keys)
    }
    for (const i of [0, 1, 350, 698, 699]) await finds(pair.b.router, `many-${i}`, [pair.a.id])
    expect((await pair.a.router.announce([], call)).keys).toBe(0)
  })

  test(`${label}: it says how many would be told`, async () => {
    await using pair = await make()
    expect(pair.a.router.reach).toBe(1)
  })

  test(`${label}: an aborted call throws`, async () => {
    await using pair = await make()
    const aborted = { signal: AbortSignal.abort(new Error('no longer wanted')) }
    await expect(pair.a.router.announce([key('x')], aborted)).rejects.toThrow()
  })
}
