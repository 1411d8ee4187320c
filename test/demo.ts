/*
 * npm run demo [-- DIRECTORY]: three nodes on loopback. A directory is put into the first one; the
 * second gets it from the first, then the first stops, and the third gets it from the second.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatBytes, formatCount } from '../src/cli/units.ts'
import { connectNode, generateKey, importPath } from '../src/daemon/client.ts'
import { unhurriedCall } from '../src/foundation/call.ts'
import { makeBigFile, makeSmallFiles } from './bench/bench-data.ts'
import { type DaemonProcess, startDaemon } from './fixtures/daemon-process.ts'

const call = unhurriedCall()

const say = (text: string): void => {
  process.stdout.write(`${text}\n`)
}

async function start(args: readonly string[]): Promise<DaemonProcess> {
  return await startDaemon({ args: ['--no-mdns', ...args], env: { CAIRN_LOG: 'warn' } })
}

async function fetchInto(node: DaemonProcess, name: string, storePath: string): Promise<void> {
  using client = connectNode(node.rpc)
  while ((await client.peers(call)).length === 0) await new Promise(setImmediate)
  const startedMs = performance.now()
  for await (const report of client.fetch([storePath], { closure: true }, call)) {
    if (report.outcome?.error !== undefined) throw new Error(report.outcome.error)
    const seconds = (performance.now() - startedMs) / 1000
    say(
      `  ${name}: ${formatBytes(report.bytesDone)} of ${formatBytes(report.bytesTotal)}, ` +
        `${formatCount(report.filesDone)} of ${formatCount(report.filesTotal)} files, ` +
        `${report.peers} peers, ${seconds.toFixed(1)} s`,
    )
  }
}

async function narHash(node: DaemonProcess, storePath: string): Promise<string> {
  const hash = storePath.slice('/nix/store/'.length).slice(0, 32)
  const narInfo = await (await fetch(`${node.gatewayUrl}/${hash}.narinfo`)).text()
  return /^NarHash: (.+)$/m.exec(narInfo)?.[1] ?? 'none'
}

async function demo(scratch: string): Promise<void> {
  let directory = process.argv[2]
  if (directory === undefined) {
    directory = join(scratch, 'demo')
    await mkdir(directory)
    say('making a directory of 2,000 small files and one of 100 MiB …')
    await makeSmallFiles(directory, 2000)
    await makeBigFile(join(directory, 'large'), 100 * 1024 * 1024)
  }
  const key = generateKey('demo-1')
  const keyFile = join(scratch, 'secret.key')
  await writeFile(keyFile, key.secret, { mode: 0o600 })

  say('starting node A, which signs what is put into it …')
  const trust = ['--trusted-key', key.public]
  await using a = await start(['--signing-key', keyFile, ...trust])
  using client = connectNode(a.rpc)
  const { storePath, narSize } = await importPath(client, directory, {}, call)
  say(`  A holds ${storePath}, ${formatBytes(narSize)}`)

  say("starting node B, which trusts A's key and fetches from A …")
  await using b = await start(['--bootstrap', a.listen, ...trust])
  await fetchInto(b, 'B', storePath)

  say('stopping A; starting node C, which fetches from B …')
  await a.stop()
  await using c = await start(['--bootstrap', b.listen, ...trust])
  await fetchInto(c, 'C', storePath)

  const hashes = [await narHash(b, storePath), await narHash(c, storePath)]
  if (hashes[0] !== hashes[1]) throw new Error(`B and C differ: ${hashes.join(' and ')}`)
  say(`B and C hold the same content, ${hashes[0]}`)
  say(`Nix could take it from either: nix copy --from ${c.gatewayUrl} ${storePath}`)
}

const scratch = await mkdtemp(join(tmpdir(), 'cairn-demo-'))
try {
  await demo(scratch)
} finally {
  await rm(scratch, { recursive: true, force: true })
}
