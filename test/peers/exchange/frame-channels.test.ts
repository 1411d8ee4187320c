import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { silentLog } from '../../../src/foundation/log.ts'
import { systemClock } from '../../../src/foundation/system-clock.ts'
import type { FrameChannel } from '../../../src/peers/exchange/frame-channel.ts'
import { memoryFrameChannels } from '../../../src/peers/exchange/memory-frame-channel.ts'
import { Host } from '../../../src/peers/host.ts'
import { frameChannelContract } from '../../contracts/frame-channel-contract.ts'
import { call } from '../../fixtures/content.ts'
import { temporaryDirectory } from '../../fixtures/temporary-directory.ts'

frameChannelContract('in memory', async () => {
  const [near, far] = memoryFrameChannels()
  return { near, far, [Symbol.asyncDispose]: async () => undefined }
})

frameChannelContract('over a real stream', async () => {
  const directory = await temporaryDirectory()
  const [a, b] = [await host(join(directory.path, 'a')), await host(join(directory.path, 'b'))]
  const arrival = Promise.withResolvers<FrameChannel>()
  b.onChannel((_, channel) => arrival.resolve(channel))
  await a.connect({ id: b.id, addresses: b.addresses }, call)
  const near = await a.openChannel(b.id, call)
  const far = await arrival.promise
  return {
    near,
    far,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([a.stop(), b.stop()])
      await directory[Symbol.asyncDispose]()
    },
  }
})

async function host(datastorePath: string): Promise<Host> {
  const identity = await generateKeyPair('Ed25519')
  const components = { clock: systemClock, log: silentLog, identity, datastorePath }
  const node = await Host.open(
    { ...components, isBanned: () => false },
    { listen: ['/ip4/127.0.0.1/tcp/0'], bootstrap: [], mdns: false },
  )
  await node.start()
  return node
}
