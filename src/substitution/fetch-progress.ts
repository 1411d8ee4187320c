/** How far the fetching of one path has got; written by whoever fetches, for all to read. */
export class FetchProgress {
  /** Files and content bytes below the root, known once its Directories are; held ones included. */
  filesTotal = 0
  bytesTotal = 0
  /** Of these, what is here. */
  filesDone = 0
  bytesDone = 0
  /** Directories that were sent here. */
  directoriesFetched = 0
  /** Content bytes that were sent here, repeats included. */
  bytesFetched = 0
  /** Who sent them. */
  readonly peers = new Set<string>()

  /** Another attempt begins; what was sent stays counted. */
  restart(): void {
    this.filesTotal = 0
    this.bytesTotal = 0
    this.filesDone = 0
    this.bytesDone = 0
  }
}
