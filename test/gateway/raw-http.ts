import { Agent, type IncomingHttpHeaders, request } from 'node:http'

/** How an answer ended: whole, or broken off. */
export interface RawAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  readonly whole: boolean
}

export interface RawRequest {
  readonly method?: string
  readonly headers?: Record<string, string | number>
  readonly body?: Uint8Array
  readonly agent?: Agent
  /** Told once the server says 100 Continue; the body is sent only then where this is given. */
  readonly onContinue?: () => void
  /** Told of each piece of the body. */
  readonly onData?: () => void
}

/** One request as it is: its path is not tidied up, and a broken answer is told and not thrown. */
export async function rawHttp(
  port: number,
  path: string,
  init: RawRequest = {},
): Promise<RawAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>()
  const { method = 'GET', headers = {}, agent = new Agent() } = init
  const host = '127.0.0.1'
  const asked = request({ host, port, path, method, headers, agent }, (answer) => {
    const parts: Buffer[] = []
    const ended = (whole: boolean): void =>
      resolve({
        status: answer.statusCode!,
        headers: answer.headers,
        body: Buffer.concat(parts),
        whole,
      })
    answer.on('data', (part: Buffer) => {
      parts.push(part)
      init.onData?.()
    })
    answer.on('error', () => ended(false))
    answer.on('end', () => ended(true))
  })
  asked.on('error', reject)
  if (init.onContinue === undefined) {
    asked.end(init.body)
  } else {
    asked.on('continue', () => {
      init.onContinue?.()
      asked.end(init.body)
    })
    asked.flushHeaders()
  }
  return await promise
}
