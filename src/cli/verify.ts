import { SingleBar } from 'cli-progress'
import { Command } from 'commander'
import type { StoreFault, VerifyReport } from '../daemon/client.ts'
import { answer, type NodeOptions, withNode, withNodeOptions } from './node-options.ts'
import { formatBytes, formatCount, formatCounted } from './units.ts'

/** `cairn verify`: checks all that the node keeps. */
export function verifyCommand(): Command {
  const command = new Command('verify')
    .description('Read all that the node keeps, and check it.')
    .option('--repair', 'fetch what is rotten from elsewhere, and let go of what nobody has')
  return withNodeOptions(command)
    .addHelpText(
      'after',
      `
Records are checked against their digests and checksums, blobs and Directories for being whole, and
paths against the hash of their NAR. Exit code 1 where something is wrong that was not mended.

Examples:
  $ cairn verify
  $ cairn verify --repair
  $ cairn verify --json | jq .faults`,
    )
    .action(async (options: NodeOptions & { repair?: boolean }) => {
      const isRepair = options.repair === true
      const checked: Record<string, number> = {}
      const faults: StoreFault[] = []
      let bytes = 0
      await withNode(options, async (node, call) => {
        using bar = new VerifyBar()
        for await (const report of node.verify({ isRepair }, call)) {
          bar.update(report)
          checked[report.phase] = report.done
          bytes = report.bytes
          if (report.fault !== undefined) faults.push(report.fault)
        }
      })
      const unmended = faults.filter(({ isMended }) => !isMended)
      answer(options, { checked, bytes, faults }, textOf(checked, bytes, faults))
      if (unmended.length > 0) process.exitCode = 1
    })
}

function textOf(
  checked: Readonly<Record<string, number>>,
  bytes: number,
  faults: readonly StoreFault[],
): string {
  const mended = faults.filter(({ isMended }) => isMended).length
  const counts = Object.entries(checked).map(([what, count]) => `${formatCount(count)} ${what}`)
  const found =
    faults.length === 0
      ? 'all is well'
      : `${formatCounted(faults.length, 'fault')}, ${formatCount(mended)} mended`
  return [
    ...faults.map(({ what, isMended }) => `${what}${isMended ? ' (mended)' : ''}`),
    `checked ${counts.join(', ')}; ${formatBytes(bytes)} read`,
    found,
  ].join('\n')
}

/** A bar for each phase on the terminal's last line; nothing where standard error is none. */
class VerifyBar implements Disposable {
  #bar: SingleBar | undefined
  #phase = ''

  update({ phase, done, total, bytes }: VerifyReport): void {
    if (!process.stderr.isTTY) return
    if (phase !== this.#phase) {
      this.#bar?.stop()
      const format = `{bar} ${phase}: {value}/{total} · {read}`
      this.#bar = new SingleBar({
        format,
        stream: process.stderr,
        clearOnComplete: true,
        hideCursor: true,
        noTTYOutput: false,
        fps: 10,
      })
      this.#bar.start(total, done, { read: formatBytes(bytes) })
      this.#phase = phase
    }
    this.#bar?.update(done, { read: formatBytes(bytes) })
  }

  [Symbol.dispose](): void {
    this.#bar?.stop()
  }
}
