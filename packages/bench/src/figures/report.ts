/**
 * The report: one page that needs nothing else, with all figures, the paper's claims beside what
 * was measured here, and what is different here (claims.ts).
 */
import { answerTo, CLAIMS } from './claims.ts'
import { escaped, svgOf } from './plot.ts'
import type { Measured } from './record.ts'
import { madeBy } from './table.ts'

const STYLE = `
body { font: 16px/1.5 system-ui, sans-serif; max-width: 860px; margin: 2rem auto; padding: 0 1rem; color: #222 }
h1, h2 { line-height: 1.2 } figure { margin: 2rem 0 } svg { max-width: 100%; height: auto }
figcaption, .made { font-size: 14px; color: #555 } table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; border-bottom: 1px solid #ddd; padding: .4rem .8rem .4rem 0 }
code { font-size: 90% }`

/** The whole page. */
export function reportPage(measured: readonly Measured[]): string {
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sandstorm, measured</title><style>${STYLE}</style>
<h1>Sandstorm, measured</h1>
<p>The figures of <i>Network Stack Specialization for Performance</i> (HotNets 2013), measured again with this
stack, on a virtual machine with two cores and no network card: ratios count. Lines are medians; thin
vertical lines reach from the least to the largest run.</p>
<h2>The paper's claims, and ours</h2>
${claimsTable(measured)}
${measured.map(section).join('\n')}
</html>
`
}

function section({ figure: { title, caption }, record }: Measured): string {
  return `<h2>${escaped(title)}</h2>
<figure>${svgOf(record.panels)}<figcaption>${inlineCode(caption)}</figcaption></figure>
<p class="made">${inlineCode(madeBy(record))}</p>`
}

function claimsTable(measured: readonly Measured[]): string {
  const rows = CLAIMS.map(claim => {
    const cells = [claim.paper, answerTo(claim, measured), claim.difference]
    return `<tr>${cells.map(text => `<td>${inlineCode(text)}</td>`).join('')}</tr>`
  })
  const head = '<tr><th>The paper</th><th>Measured here</th><th>What is different here</th></tr>'
  return `<table>${head}${rows.join('')}</table>`
}

const inlineCode = (text: string): string => escaped(text).replace(/`([^`]*)`/g, '<code>$1</code>')
