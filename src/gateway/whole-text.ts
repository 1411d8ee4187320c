import type { FastifyRequest } from 'fastify'
import { utf8Text } from '../foundation/bytes.ts'
import { badRequest } from './gateway-error.ts'

/** The body of a small request. @throws GatewayError where it is larger, or no UTF-8 */
export async function wholeText(request: FastifyRequest, bytesMax: number): Promise<string> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of request.raw as AsyncIterable<Uint8Array>) {
    bytes += part.length
    if (bytes > bytesMax) throw badRequest(`the body has more than ${bytesMax} bytes`)
    parts.push(part)
  }
  const text = utf8Text(Buffer.concat(parts))
  if (text === undefined) throw badRequest('the body is no UTF-8')
  return text
}
