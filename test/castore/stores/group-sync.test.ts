import { expect, test } from 'vitest'
import { GroupSync } from '../../../src/castore/stores/group-sync.ts'

test('one runs after the other, whenever the next is asked for', async () => {
  // Whoever waits for one goes on some turns after its end: at each of them another is asked for.
  for (let turns = 0; turns < 12; turns++) {
    let running = 0
    let most = 0
    const sync = new GroupSync({
      work: async () => {
        most = Math.max(most, ++running)
        await undefined
        running--
      },
    })
    const first = sync.run()
    const second = sync.run()
    for (let i = 0; i < turns; i++) await undefined
    await Promise.all([first, second, sync.run()])
    expect(most, `${turns} turns`).toBe(1)
  }
})
