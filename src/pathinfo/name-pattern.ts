/** Characters of the longest pattern: names have up to 211. */
export const PATTERN_LENGTH_MAX = 256

const ANY = '*'
const ONE = '?'

/**
 * A pattern of store path names, such as `*-secret*`: `*` stands for any characters, none included,
 * and `?` for exactly one. All else stands for itself, and the whole name has to match.
 */
export class NamePattern {
  readonly #text: string

  private constructor(text: string) {
    this.#text = text
  }

  /** Reads a pattern, undefined where no name could ever match it, or it is too long. */
  static parse(text: string): NamePattern | undefined {
    const isPattern = /^[a-zA-Z0-9+\-._?=*]+$/.test(text) && text.length <= PATTERN_LENGTH_MAX
    return isPattern ? new NamePattern(text) : undefined
  }

  /**
   * Whether a name matches. No regular expression: only the latest `*` is ever tried again, so that
   * the steps are no more than the lengths of both multiplied.
   */
  matches(name: string): boolean {
    const pattern = this.#text
    let at = 0
    let inName = 0
    let star = -1
    let afterStar = 0
    while (inName < name.length) {
      if (pattern[at] === ANY) {
        star = at++
        afterStar = inName
      } else if (pattern[at] === ONE || pattern[at] === name[inName]) {
        at++
        inName++
      } else if (star >= 0) {
        at = star + 1 // the latest star takes one character more
        inName = ++afterStar
      } else return false
    }
    while (pattern[at] === ANY) at++
    return at === pattern.length
  }

  toString(): string {
    return this.#text
  }
}
