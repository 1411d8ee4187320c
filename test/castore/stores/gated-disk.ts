import type { Disk, DiskFile } from '../../../src/castore/stores/disk.ts'

/** What to do in the place of a call to a file; `call` is the call itself. */
export type Gate = (
  call: () => Promise<number | undefined>,
  path: string,
) => Promise<number | undefined>

/** Where a test steps in: undefined lets calls through. */
export interface Gates {
  write?: Gate | undefined
  truncate?: Gate | undefined
  sync?: Gate | undefined
}

/** A disk on which a test decides how single calls fare. */
export function gatedDisk(disk: Disk, gates: Gates): Disk {
  const open: Disk['open'] = async (path, how) => {
    const file = await disk.open(path, how)
    const gated: DiskFile = {
      read: (target, position) => file.read(target, position),
      write: async (pieces, position) =>
        (await through(gates.write, () => file.write(pieces, position), path)) as number,
      truncate: async (bytes) =>
        void (await through(gates.truncate, () => file.truncate(bytes).then(nothing), path)),
      sync: async () => void (await through(gates.sync, () => file.sync().then(nothing), path)),
      close: () => file.close(),
    }
    return gated
  }
  return {
    open,
    makeDirectory: (path) => disk.makeDirectory(path),
    list: (directory) => disk.list(directory),
    facts: (path) => disk.facts(path),
    remove: (path) => disk.remove(path),
    syncNames: (directory) => disk.syncNames(directory),
  }
}

function through(
  gate: Gate | undefined,
  call: () => Promise<number | undefined>,
  path: string,
): Promise<number | undefined> {
  return gate === undefined ? call() : gate(call, path)
}

const nothing = (): undefined => undefined
