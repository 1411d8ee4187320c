import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  decodeProviders,
  encodeAddProvider,
  encodeGetProviders,
  encodePing,
  undelimited,
} from '../../../src/peers/routing/kademlia-codec.ts'

const bytes = (max: number) => fc.uint8Array({ minLength: 1, maxLength: max })

test('what is said of a provider is read the same, wherever it is cut', () => {
  fc.assert(
    fc.property(bytes(40), bytes(40), fc.array(bytes(20), { maxLength: 5 }), (key, id, all) => {
      const message = encodeAddProvider(key, { id, addresses: all })
      for (const cut of [0, 1, message.length - 1]) {
        expect(undelimited(message.subarray(0, cut))).toBeUndefined()
      }
      const whole = undelimited(Buffer.concat([message, encodePing()]))!
      expect(whole.length).toBe(undelimited(message)!.length)
      const [read] = decodeProviders(whole, 10)
      expect([...read!.id]).toEqual([...id])
      expect(read!.addresses.map((it) => [...it])).toEqual(all.map((it) => [...it]))
      expect(decodeProviders(whole, 0)).toEqual([])
    }),
  )
})

test('an announcement is as short as the budget counts on', () => {
  const provider = { id: new Uint8Array(38), addresses: [new Uint8Array(8)] }
  expect(encodeAddProvider(new Uint8Array(34), provider).length).toBeLessThanOrEqual(93)
})

test('a question names nobody; whatever is no message throws, or names nobody', () => {
  expect(decodeProviders(undelimited(encodeGetProviders(new Uint8Array(34)))!, 5)).toEqual([])
  fc.assert(
    fc.property(bytes(100), (noise) => {
      try {
        expect(decodeProviders(noise, 3).length).toBeLessThanOrEqual(3)
      } catch (error) {
        expect(error).toBeInstanceOf(Error)
      }
    }),
  )
})
