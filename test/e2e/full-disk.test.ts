import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { connectNode, importPath } from '../../src/daemon/client.ts'
import { parseNarInfo } from '../../src/nix/nar-info.ts'
import { StorePath } from '../../src/nix/store-path.ts'
import { runCairn } from '../cli/run-cairn.ts'
import { call, noise } from '../fixtures/content.ts'
import { type DaemonProcess, startDaemon } from '../fixtures/daemon-process.ts'
import { smallDisk, smallDiskMissing } from '../fixtures/small-disk.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { directory, file, narOf } from '../nar/trees.ts'

const MIB = 1024 * 1024

const skipped = smallDiskMissing()
const why = skipped === undefined ? '' : ` (${skipped})`

test.skipIf(skipped)(
  `a full disk is told in words, and nothing that was acknowledged is lost${why}`,
  { timeout: 120_000 },
  async () => {
    await using disk = await smallDisk(96 * MIB)
    const args = ['--no-mdns', '--state', join(disk.path, 'state')]
    const kept = new Map<string, Buffer>()
    {
      await using node = await startDaemon({ args })
      let refusal: { code: number | null; stderr: string } | undefined
      for (let i = 0; refusal === undefined; i++) {
        const content = noise(7 * MIB, i)
        const { code, stdout, stderr } = await imported(node, content)
        if (code === 0) kept.set(stdout.trim(), content)
        else refusal = { code, stderr }
      }
      expect(kept.size).toBeGreaterThan(2)
      expect(refusal.code).toBe(1)
      expect(refusal.stderr).toMatch(/no space left|disk is full/i)
      expect(await upload(node, noise(7 * MIB, 'more'))).toBe(507)
      await fillUp(node, kept)
      await expectKept(node, kept)

      await disk.relieve()
      const content = noise(7 * MIB, 'after')
      const after = await imported(node, content)
      expect(after.code, after.stderr).toBe(0)
      kept.set(after.stdout.trim(), content)
      await expectKept(node, kept)
      await node.kill()
    }
    await using node = await startDaemon({ args })
    await expectKept(node, kept)
    expect(node.log()).not.toContain('rebuilding')
  },
)

async function imported(node: DaemonProcess, content: Uint8Array) {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, createHash('sha256').update(content).digest('hex').slice(0, 8))
  await writeFile(path, content)
  return await runCairn(['import', '--rpc', node.rpc, path])
}

/** Takes the last of the room in small steps, so that the index meets its end as well. */
async function fillUp(node: DaemonProcess, kept: Map<string, Buffer>): Promise<void> {
  using client = connectNode(node.rpc)
  await using directory = await temporaryDirectory()
  for (const bytes of [256 * 1024, 8 * 1024, 100]) {
    for (let i = 0, failed = false; !failed; i++) {
      const content = noise(bytes, `${bytes} ${i}`)
      const path = join(directory.path, 'content')
      await writeFile(path, content)
      await importPath(client, path, { name: `small-${bytes}-${i}` }, call).then(
        ({ storePath }) => kept.set(storePath, content),
        (error) => {
          expect(error.message).toMatch(/no space left|disk is full/i)
          failed = true
        },
      )
    }
  }
}

async function upload(node: DaemonProcess, content: Uint8Array): Promise<number> {
  const nar = narOf(directory({ content: file(content) }))
  const url = `${node.gatewayUrl}/nar/upload.nar`
  return (await fetch(url, { method: 'PUT', body: nar })).status
}

async function expectKept(node: DaemonProcess, kept: ReadonlyMap<string, Buffer>): Promise<void> {
  for (const [storePath, content] of kept) {
    const hash = StorePath.parse(storePath).hashText
    const answer = await fetch(`${node.gatewayUrl}/${hash}.narinfo`)
    expect(answer.status, storePath).toBe(200)
    const info = parseNarInfo(await answer.text())
    const nar = Buffer.from(await (await fetch(`${node.gatewayUrl}/${info.url}`)).arrayBuffer())
    expect(nar.equals(narOf(file(content)))).toBe(true)
  }
}
