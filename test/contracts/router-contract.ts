import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
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
    await pair.a.router.announce(key('x'), call)
    await finds(pair.b.router, 'x', [pair.a.id])
    for await (const peer of pair.b.router.holders(key('x'), call)) {
      expect(peer.id).toBe(pair.a.id)
      expect(peer.addresses.length).toBeGreaterThan(0)
    }
    expect(await holders(pair.b.router, 'y')).toEqual([])
  })

  test(`${label}: nobody is told of itself`, async () => {
    await using pair = await make()
    await pair.a.router.announce(key('x'), call)
    await pair.b.router.announce(key('x'), call)
    await finds(pair.a.router, 'x', [pair.b.id])
    await finds(pair.b.router, 'x', [pair.a.id])
  })

  test(`${label}: announcing twice is as good as once`, async () => {
    await using pair = await make()
    await pair.a.router.announce(key('x'), call)
    await pair.a.router.announce(key('x'), call)
    await finds(pair.b.router, 'x', [pair.a.id])
  })

  test(`${label}: withdrawing what was announced, or never was, is no error`, async () => {
    await using pair = await make()
    await pair.a.router.announce(key('x'), call)
    await pair.a.router.withdraw(key('x'), call)
    await pair.a.router.withdraw(key('y'), call)
  })

  test(`${label}: an aborted call throws`, async () => {
    await using pair = await make()
    const aborted = { signal: AbortSignal.abort(new Error('no longer wanted')) }
    await expect(pair.a.router.announce(key('x'), aborted)).rejects.toThrow()
  })
}
