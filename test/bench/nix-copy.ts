import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NIX_ENV } from '../fixtures/nix-closure.ts'
import { program, secondsOf } from './measure.ts'

/** What Nix copies, from where, and whose signatures count. */
export interface NixCopy {
  readonly from: string
  readonly top: string
  readonly publicKeys: readonly string[]
  /** The network namespace that Nix runs in; the machine's own by default. */
  readonly namespace?: string
}

/**
 * How long Nix takes to copy a closure into a new store, in seconds. The store is in memory where
 * it can be: how long a disk takes to make some thousand files differs by more than what is
 * measured.
 */
export async function nixCopySeconds(copy: NixCopy): Promise<number> {
  const { from, top, publicKeys, namespace } = copy
  const memory = await program('sh', ['-c', 'test -w /dev/shm && echo /dev/shm || true'])
  const directory = await mkdtemp(join(memory.trim() || tmpdir(), 'cairn-bench-copy-'))
  try {
    const env = { ...NIX_ENV, XDG_CACHE_HOME: join(directory, 'cache') }
    const keys = ['--option', 'trusted-public-keys', publicKeys.join(' ')]
    const argv = ['nix', 'copy', ...keys, '--from', from, '--to', join(directory, 'store'), top]
    const within = namespace === undefined ? [] : ['ip', 'netns', 'exec', namespace]
    const [command, ...args] = [...within, ...argv]
    return await secondsOf(() => program(command!, args, env))
  } finally {
    await program('sh', ['-c', `chmod -R u+w ${directory}; rm -rf ${directory}`])
  }
}
