import { BlockList, isIPv6 } from 'node:net'
import type { FastifyRequest } from 'fastify'
import { GatewayError } from './gateway-error.ts'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** Lets only this machine's own clients through: what they put in is its owner's word. */
export async function ownerOnly(request: FastifyRequest): Promise<void> {
  const address = request.socket.remoteAddress ?? ''
  if (loopback.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')) return
  throw new GatewayError({ code: 'forbidden' }, 'only clients on this machine may put paths in')
}
