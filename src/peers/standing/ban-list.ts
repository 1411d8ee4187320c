/** A peer that lied. */
export interface Ban {
  /** Its id. */
  readonly peer: string
  /** When it was found out, in milliseconds since 1970. */
  readonly sinceMs: number
  /** What it did, in words. */
  readonly reason: string
}

/** The port to where bans are kept, so that they outlive the process. */
export interface BanList {
  /** Those that are in force, the oldest first. */
  readonly bans: readonly Ban[]
  add(ban: Ban): void
  remove(peer: string): void
}
