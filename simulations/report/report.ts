/** A line of a chart: points in the order of x. */
export interface Line {
  readonly name: string
  readonly points: readonly (readonly [x: number, y: number])[]
}

/** What a scenario came to. */
export interface Report {
  readonly title: string
  readonly columns: readonly string[]
  readonly rows: readonly (readonly string[])[]
  readonly chart?: { readonly x: string; readonly y: string; readonly lines: readonly Line[] }
  /** What was not as it has to be; empty where all is well. */
  readonly violations: readonly string[]
}

/** A report as a table of Markdown, and what was wrong below it. */
export function tableOf({ title, columns, rows, violations }: Report): string {
  const all = [columns, ...rows]
  const widths = columns.map((_, i) => Math.max(...all.map((row) => (row[i] ?? '').length)))
  const lineOf = (row: readonly string[]): string =>
    `| ${widths.map((width, i) => (row[i] ?? '').padEnd(width)).join(' | ')} |`
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`
  const wrong = violations.map((it) => `violated: ${it}`)
  return [title, '', lineOf(columns), rule, ...rows.map(lineOf), '', ...wrong].join('\n')
}
