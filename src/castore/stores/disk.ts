/** A file of a {@link Disk}, open until it is closed. */
export interface DiskFile {
  /** Reads up to all of `target` from `position`; says how many bytes, 0 only at the end. */
  read(target: Uint8Array, position: number): Promise<number>
  /** Writes pieces one behind the other from `position` on; says how many bytes went in. */
  write(pieces: readonly Uint8Array[], position: number): Promise<number>
  /** Cuts the file to so many bytes. */
  truncate(bytes: number): Promise<void>
  /** Brings what was written to stable storage. */
  sync(): Promise<void>
  close(): Promise<void>
}

/** Length and age of a file. */
export interface FileFacts {
  readonly bytes: number
  /** When it was last written to, in milliseconds since 1970. */
  readonly modifiedMs: number
}

/**
 * The port to the disk that segments lie on. A write may be short, any call may fail, and what was
 * not synced may be lost, or lost in part, when the machine stops.
 */
export interface Disk {
  /** Makes a directory and those above it, unless they are there. */
  makeDirectory(path: string): Promise<void>
  /** The names in a directory. */
  list(directory: string): Promise<string[]>
  /** Undefined where there is no such file. */
  facts(path: string): Promise<FileFacts | undefined>
  /** Opens a file: to read it, to write to one that is there, or to begin one, emptied. */
  open(path: string, how: 'read' | 'write' | 'begin'): Promise<DiskFile>
  remove(path: string): Promise<void>
  /** Brings the names of a directory to stable storage. */
  syncNames(directory: string): Promise<void>
}
