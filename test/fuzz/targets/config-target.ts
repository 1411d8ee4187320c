import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConfigError } from '../../../src/daemon/config-error.ts'
import { loadConfig } from '../../../src/daemon/load-config.ts'
import { KEYS } from '../../fixtures/claims.ts'
import { type FuzzTarget, holds } from '../fuzz-target.ts'

const WHOLE = `
state = "/var/lib/cairn"
gateway = "127.0.0.1:9000"
rpc = "localhost:8000"
listen = ["/ip4/0.0.0.0/tcp/9001"]
bootstrap = ["/ip4/192.168.1.5/tcp/9001"]
mdns = true
trusted_keys = ["${KEYS.a.publicKey()}"]
signing_key = "/etc/cairn/secret.key"
log = "info,peers=debug"
`

/** cairn.toml: whatever stands in it, there is a configuration or words with a line. */
export const CONFIG_TARGET: FuzzTarget = {
  name: 'config',
  seeds: [Buffer.from(''), Buffer.from(WHOLE)],
  dictionary: ['=', '"', '[', ']', '[[', '\n', '#', "'''", '1979-05-27', 'inf', '__proto__', '{}'],
  testRuns: 1_000,
  isRefusal: (error) =>
    error instanceof ConfigError && error.problems.length > 0 && /:\d+: /.test(error.message),
  check: async (input) => {
    const file = join(tmpdir(), `cairn-fuzz-config-${process.pid}.toml`)
    await writeFile(file, input)
    try {
      const config = await loadConfig({ file, env: {}, flags: {} })
      holds(typeof config.state === 'string' && config.listen.length > 0, 'nothing is left out')
    } finally {
      await rm(file, { force: true })
    }
  },
}
