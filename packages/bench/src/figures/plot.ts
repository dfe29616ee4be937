/**
 * Draws panels as SVG, with Observable Plot on a DOM that needs no browser. A line or a bar is the
 * median of its runs; thin vertical lines reach from the least to the largest of them. The names of
 * lines stand in the order in which these end, from above.
 */
import * as Plot from '@observablehq/plot'
import { parseHTML } from 'linkedom'
import { median } from '../report.ts'
import type { Panel, Point, Series } from './figure.ts'

const WIDTH = 820
const HEIGHT = 380
const TITLE_HEIGHT = 24
/** Behind it stand the names of series. */
const NAMES_LEFT = 638
const COLORS = ['#0b62a4', '#d95f02', '#1b9e77', '#7570b3', '#a6761d', '#e7298a', '#666666']
/** What many figures show, with a colour that is the same in all; others take what is left. */
const OFTEN = ['sandstorm', 'memcpy', 'AF_PACKET', 'kernel TCP', 'nginx']

/** A point as it is drawn. */
interface Drawn {
  readonly series: string
  readonly x: number | string
  readonly y: number
  readonly low: number
  readonly high: number
}

/** One document with all panels, one below the other. */
export function svgOf(panels: readonly Panel[]): string {
  const step = HEIGHT + TITLE_HEIGHT
  const parts = panels.map((panel, i) => {
    const title = `<text x="16" y="17" font-size="13" font-weight="600">${escaped(panel.title)}</text>`
    const body = `<g transform="translate(0 ${TITLE_HEIGHT})">${plot(panel)}${legend(panel)}</g>`
    return `<g transform="translate(0 ${i * step})">${panel.title === '' ? '' : title}${body}</g>`
  })
  const size = `width="${WIDTH}" height="${step * panels.length}"`
  const font = 'font-family="system-ui, sans-serif"'
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} viewBox="0 0 ${WIDTH} ${step * panels.length}" ${font}>` +
    `<rect width="100%" height="100%" fill="white"/>${parts.join('')}</svg>\n`
  )
}

/** In the right margin. */
function legend({ kind, series }: Panel): string {
  const colors = colorsOf(series)
  const named = series.map(({ name, points }, i) => ({
    name,
    color: colors[i],
    end: endOf(points),
  }))
  if (kind === 'lines') named.sort((a, b) => b.end - a.end)
  const line = ({ name, color }: (typeof named)[number], i: number): string => {
    const y = 40 + 18 * i
    const box = `<rect x="${NAMES_LEFT}" y="${y - 9}" width="10" height="10" fill="${color}"/>`
    return `${box}<text x="${NAMES_LEFT + 16}" y="${y}" font-size="11">${escaped(name)}</text>`
  }
  return named.map(line).join('')
}

const endOf = (points: readonly Point[]): number => median(points.at(-1)?.y ?? [0])

function colorsOf(series: readonly Series[]): string[] {
  const places = series.map(({ name }) => OFTEN.indexOf(name))
  const left = COLORS.filter((_, i) => !places.includes(i))
  let next = 0
  return places.map(i => (i >= 0 ? COLORS[i] : left[next++ % left.length]))
}

function plot(panel: Panel): string {
  const { document } = parseHTML('<html><body></body></html>')
  const points = panel.series.flatMap(({ name, points: of }) =>
    of.map(({ x, y }): Drawn => {
      return { series: name, x, y: median(y), low: Math.min(...y), high: Math.max(...y) }
    }),
  )
  const names = panel.series.map(({ name }) => name)
  const svg = Plot.plot({
    // Plot asks little of it, and nothing that only browsers have.
    document: document as never,
    width: WIDTH,
    height: HEIGHT,
    marginLeft: 72,
    marginRight: WIDTH - NAMES_LEFT + 8,
    marginBottom: 44,
    style: { fontSize: '11px', background: 'white' },
    color: { domain: names, range: colorsOf(panel.series) },
    ...axes(panel, names, Math.max(...points.map(({ high }) => high))),
    marks: marks(panel, points),
  })
  return svg.outerHTML
}

function axes({ kind, x, y }: Panel, names: readonly string[], yMax: number): Plot.PlotOptions {
  // Where all is 0 there would be no scale.
  const log10 = { type: 'log' as const, tickFormat: ',' }
  const range = y.scale === 'log' ? log10 : { domain: [0, yMax || 1] }
  const yAxis = { label: y.label, grid: true, ...range }
  if (kind === 'bars') {
    return { fx: { label: x.label }, x: { axis: null, domain: [...names] }, y: yAxis }
  }
  const log = x.scale === 'log' ? { type: 'log' as const, base: 2, tickFormat: 'd' } : {}
  const end = x.max === undefined ? {} : { domain: [0, x.max] }
  return { x: { label: x.label, labelAnchor: 'center', ...log, ...end }, y: yAxis }
}

function marks({ kind }: Panel, points: readonly Drawn[]): Plot.Markish[] {
  if (kind === 'bars') return bars(points)
  const spread = Plot.ruleX(points, { x: 'x', y1: 'low', y2: 'high', stroke: 'series' })
  if (kind === 'dots') return [Plot.dot(points, { x: 'x', y: 'y', stroke: 'series', r: 2.5 })]
  const line = Plot.lineY(points, { x: 'x', y: 'y', stroke: 'series', z: 'series', marker: 'dot' })
  return [spread, line]
}

function bars(points: readonly Drawn[]): Plot.Markish[] {
  return [
    Plot.ruleY([0]),
    Plot.barY(points, { fx: 'x', x: 'series', y: 'y', fill: 'series' }),
    Plot.ruleX(points, { fx: 'x', x: 'series', y1: 'low', y2: 'high', stroke: 'black' }),
  ]
}

/** As XML and HTML want text. */
export const escaped = (text: string): string => text.replace(/&/g, '&amp;').replace(/</g, '&lt;')
