import { existsSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Log } from '../foundation/log.ts'
import { createNode } from './create-node.ts'
import { loadConfig, type RawConfig } from './load-config.ts'
import { pinoLog } from './pino-log.ts'
import { VERSION } from './version.ts'

/** How long stopping may take before the process ends all the same; answers are cut at 5 s. */
const STOP_MS = 8_000

/**
 * Runs a node until SIGTERM or SIGINT; resolves when it has stopped and its stores are closed.
 * @throws ConfigError, CastoreError and whatever keeps it from starting
 */
export async function runDaemon(init: {
  readonly config?: string | undefined
  readonly flags: RawConfig
}): Promise<void> {
  const file = init.config ?? defaultConfigFile()
  const config = await loadConfig({ file, env: process.env, flags: init.flags })
  const logOf = pinoLog(config.log)
  const log = logOf('daemon')
  const stopping = signalled(log)
  const node = await createNode({ logOf }, config)
  await node.start()
  log.info('node is ready', {
    version: VERSION,
    gateway: node.gateway.url,
    rpc: node.rpc.address,
    peerId: node.host.id,
    state: config.state,
  })
  flushCompileCache() // it would else be written at the end only, and never after a crash
  if (config.signing_key === undefined) {
    log.info('no signing key: what is put in here stays for this machine alone', {
      remedy: 'cairn key generate, and start with --signing-key',
    })
  }
  log.info('stopping', { signal: await stopping })
  const forced = setTimeout(() => {
    log.error('stopping takes too long, ending at once', { waitedMs: STOP_MS })
    process.exit(1)
  }, STOP_MS)
  await node.stop()
  clearTimeout(forced)
  log.info('stopped')
}

function signalled(log: Log): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>()
  let asked = false
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (asked) {
        log.warn('asked to stop again, ending at once', { signal })
        process.exit(1)
      }
      asked = true
      resolve(signal)
    })
  }
  return promise
}

function defaultConfigFile(): string | undefined {
  const own = join(process.env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'cairn', 'cairn.toml')
  return [own, '/etc/cairn/cairn.toml'].find((path) => existsSync(path))
}
