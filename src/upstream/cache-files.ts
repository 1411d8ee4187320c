import type { Call } from '../foundation/call.ts'

/** A file of a cache, on its way here. Who does not read all of it leaves the loop, or aborts. */
export interface CacheFile {
  /** Length of the whole file in bytes, where it is known before it has come. */
  readonly size?: number | undefined
  /** Changes with the file, where the cache says such a thing. */
  readonly etag?: string | undefined
  /** From the offset on that was asked for. @throws CacheError where it does not come whole */
  readonly bytes: AsyncIterable<Uint8Array>
}

/** What goes into a file; opened anew for each attempt to send it. */
export interface CacheFileBody {
  /** Length in bytes. */
  readonly size: number
  open(): AsyncIterable<Uint8Array>
}

/** The port to one cache as named files, for reading. Names are relative, with slashes. */
export interface CacheReader {
  /** What the cache is called in words for people; holds no credentials. */
  readonly name: string
  /**
   * A file from an offset in bytes on; undefined where the cache says that there is none.
   * @throws CacheError where it could not tell
   */
  get(name: string, call: Call, offset?: number): Promise<CacheFile | undefined>
  /** Whether the cache has a file. @throws CacheError where it could not tell */
  has(name: string, call: Call): Promise<boolean>
}

/** The port to one cache as named files, all that differs between kinds of caches. */
export interface CacheFiles extends CacheReader {
  /**
   * Puts a file of a media type in place, all of it or nothing, over one of that name.
   * @throws CacheError; what the body throws
   */
  put(name: string, body: CacheFileBody, type: string, call: Call): Promise<void>
  /**
   * Loads what it works with, where that takes long: what else is timed meanwhile would seem slow.
   * Nothing is reached; without this it is loaded when it is first needed.
   */
  prepare?(): Promise<void>
  /** Ends what goes on, and gives up all connections. */
  close(): Promise<void>
}
