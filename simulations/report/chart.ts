import type { Line, Report } from './report.ts'

const WIDTH = 720
const HEIGHT = 400
const MARGIN = { left: 60, right: 170, top: 40, bottom: 50 }

const COLORS = ['#1b6ca8', '#c8553d', '#3a7d44', '#8e5aa8', '#b8860b', '#444444']

/** At most so many points are drawn of a line. */
const POINTS_MAX = 400

/** A report's chart as an SVG image; the same report gives the same bytes. */
export function svgOf(report: Report): string | undefined {
  const { chart, title } = report
  if (chart === undefined) return undefined
  const xMax = niceMax(Math.max(...chart.lines.flatMap(({ points }) => points.map(([x]) => x))))
  const yMax = niceMax(Math.max(...chart.lines.flatMap(({ points }) => points.map(([, y]) => y))))
  const right = WIDTH - MARGIN.right
  const bottom = HEIGHT - MARGIN.bottom
  const at = (x: number, y: number): string => {
    const left = MARGIN.left + (x / xMax) * (right - MARGIN.left)
    return `${left.toFixed(1)},${(bottom - (y / yMax) * (bottom - MARGIN.top)).toFixed(1)}`
  }
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}"`,
    '  font-family="sans-serif" font-size="12">',
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    text(MARGIN.left, 22, title, 'start', 15),
    ...axisParts(xMax, yMax, at),
    text((MARGIN.left + right) / 2, HEIGHT - 12, chart.x, 'middle'),
    text(MARGIN.left, MARGIN.top - 6, chart.y, 'start'),
    ...chart.lines.flatMap((line, i) => lineParts(line, i, at)),
    '</svg>',
  ]
  return `${parts.join('\n')}\n`
}

function axisParts(xMax: number, yMax: number, at: (x: number, y: number) => string): string[] {
  const parts: string[] = []
  for (let i = 0; i <= 5; i++) {
    const [x, y] = [(xMax * i) / 5, (yMax * i) / 5]
    parts.push(`<polyline points="${at(0, y)} ${at(xMax, y)}" stroke="#ddd" fill="none"/>`)
    const [left, bottom] = at(x, 0).split(',').map(Number)
    parts.push(text(left!, bottom! + 18, number(x), 'middle'))
    const height = Number(at(0, y).split(',')[1])
    parts.push(text(MARGIN.left - 8, height + 4, number(y), 'end'))
  }
  return parts
}

function lineParts({ name, points }: Line, i: number, at: (x: number, y: number) => string) {
  const color = COLORS[i % COLORS.length]!
  const every = Math.ceil(points.length / POINTS_MAX)
  const drawn = points.filter((_, n) => n % every === 0 || n === points.length - 1)
  const path = drawn.map(([x, y]) => at(x, y)).join(' ')
  const y = MARGIN.top + 10 + 18 * i
  const x = WIDTH - MARGIN.right + 12
  return [
    `<polyline points="${path}" stroke="${color}" stroke-width="2" fill="none"/>`,
    `<rect x="${x}" y="${y - 9}" width="10" height="10" fill="${color}"/>`,
    text(x + 16, y, name, 'start'),
  ]
}

function text(x: number, y: number, words: string, anchor: string, size = 12): string {
  const safe = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  return `<text x="${x}" y="${y}" text-anchor="${anchor}" font-size="${size}">${safe}</text>`
}

/** The least of 1, 2 or 5 by a power of ten that is not below. */
function niceMax(most: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(most, 1e-9)))
  const times = [1, 1.5, 2, 3, 5, 10].find((it) => it * power >= most * 0.9999)!
  return times * power
}

function number(value: number): string {
  return String(Number(value.toPrecision(3)))
}
