import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { onTestFinished } from 'vitest'
import { until } from '../fixtures/await-peers.ts'
import {
  type DaemonInit,
  type DaemonProcess,
  startDaemon,
  withoutOptions,
} from '../fixtures/daemon-process.ts'
import { type LanNode, makeLan, namespacesMissing } from '../fixtures/namespaces.ts'
import { NIX_ENV } from '../fixtures/nix-closure.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'

const ENTRY = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

const OUTPUT_BYTES_MAX = 64 * 1024 * 1024

const run = promisify(execFile)

/** How a program ended. */
export interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** A machine with a node, and with a Nix that has a cache of its own. */
export interface Machine {
  readonly node: DaemonProcess
  /** The multiaddress that the others reach its node at. */
  readonly address: string
  /** A place for the machine's own files, such as chroot stores. */
  readonly directory: string
  /** Runs a program of Nix on the machine, and gives what it wrote. @throws with its stderr */
  nix(program: string, ...args: readonly string[]): Promise<string>
  /** Runs any program on the machine; never throws. */
  exec(...argv: readonly string[]): Promise<Outcome>
  /** Runs `cairn` on the machine, with the node's address; never throws. */
  cairn(...args: readonly string[]): Promise<Outcome>
}

/** Machines that see each other; they go when the test is over, also when it runs out of time. */
export interface Machines {
  /** Starts one more, with nothing configured but these flags. */
  start(args: readonly string[], init?: DaemonInit): Promise<Machine>
}

/**
 * Room for some machines: each in a network namespace of its own, joined by a bridge, its node on
 * its default ports; all on loopback where namespaces can not be made.
 */
export async function machines(count: number): Promise<Machines> {
  const stack = new AsyncDisposableStack()
  onTestFinished(() => stack.disposeAsync())
  const { path } = stack.use(await temporaryDirectory())
  const isolated = namespacesMissing() === undefined
  const places: (LanNode | undefined)[] = isolated
    ? [...stack.use(await makeLan(count)).nodes]
    : Array.from({ length: count })
  let started = 0
  return {
    start: async (args, init) => {
      const place = places[started]
      const directory = join(path, `machine-${started++}`)
      await mkdir(directory)
      const where = place === undefined ? {} : { namespace: place.namespace, plain: true }
      const node = stack.use(await startDaemon({ ...where, ...init, args }))
      return machineOf(node, place, directory)
    },
  }
}

function machineOf(node: DaemonProcess, place: LanNode | undefined, directory: string): Machine {
  const within = place === undefined ? [] : ['ip', 'netns', 'exec', place.namespace]
  const address = node.listen.replace('0.0.0.0', place?.address ?? '127.0.0.1')
  // What Nix has learnt of a cache is its own machine's knowledge.
  const nixEnv = { ...NIX_ENV, XDG_CACHE_HOME: join(directory, 'cache') }
  const on = async (env: NodeJS.ProcessEnv, argv: readonly string[]): Promise<Outcome> => {
    const [program, ...args] = [...within, ...argv]
    const options = { env, maxBuffer: OUTPUT_BYTES_MAX }
    return await run(program!, args, options).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
    )
  }
  return {
    node,
    address,
    directory,
    nix: async (program, ...args) => {
      const { code, stdout, stderr } = await on(nixEnv, [program, ...args])
      if (code === 0) return stdout
      throw new Error(`${program} ${args.join(' ')} failed: ${stderr}\nnode's log:\n${node.log()}`)
    },
    exec: (...argv) => on(process.env, argv),
    cairn: (...args) =>
      on({ ...withoutOptions(process.env), CAIRN_RPC: node.rpc }, [
        process.execPath,
        ENTRY,
        ...args,
      ]),
  }
}

/** Where a cache has the narinfo of a store path. */
export function narInfoUrl(cache: string, storePath: string): string {
  return `${cache}/${basename(storePath).slice(0, 32)}.narinfo`
}

/** Waits until a machine's node is connected with those of other machines. */
export async function meets(on: Machine, ...others: readonly Machine[]): Promise<void> {
  const ids = await Promise.all(
    others.map(async ({ cairn }) => JSON.parse((await cairn('status', '--json')).stdout).peerId),
  )
  await until(async () => {
    const peers = JSON.parse((await on.cairn('peers', '--json')).stdout)
    const met = peers.map(({ id }: { id: string }) => id)
    return ids.every((id) => met.includes(id)) // on loopback, nodes of other tests may be there too
  })
}
