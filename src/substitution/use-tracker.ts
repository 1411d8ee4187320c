/** The port to who remembers which paths are in use, so that those that are not can go. */
export interface UseTracker {
  /** Somebody asks for the path with this hash part in its name. */
  used(hash: Uint8Array): void
}
