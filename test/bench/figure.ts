/** One line of the table: what was measured beside its baseline, and what it is held to. */
export interface Figure {
  readonly what: string
  readonly value: string
  /** What it is compared with, measured in the same run. */
  readonly baseline: string
  /** The comparison, or what else tells how good it is. */
  readonly ratio: string
  readonly aim: string
}

/** The table of figures, in Markdown. */
export function tableOf(figures: readonly Figure[]): string {
  const rows = [
    ['what', 'measured', 'baseline', 'ratio', 'aim'],
    ['---', '---', '---', '---', '---'],
    ...figures.map((it) => [it.what, it.value, it.baseline, it.ratio, it.aim]),
  ]
  return rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}
