/** docs/conformance.md from a verdict: what is asked, by whom, and how the two targets did. */
import { release } from 'node:os'
import { PENDING } from './pending.ts'
import { splitReference } from './unitTests.ts'
import type { Result, Row, Verdict } from './verdict.ts'

const RESULTS: readonly Result[] = [
  'pass',
  'deviates',
  'pending',
  'FAIL',
  'not applicable',
  'not run',
]

export function matrix({ sections }: Verdict): string {
  const rows = sections.flatMap(([, rows]) => rows)
  return [
    introduction(rows),
    pendingPart(),
    ...sections.map(([section, rows]) => `## ${section.title}\n\n${table(rows)}`),
    differences(rows),
  ]
    .filter(part => part !== '')
    .join('\n\n')
    .concat('\n')
}

function introduction(rows: readonly Row[]): string {
  const count = (side: 'ours' | 'linux', result: Result): string =>
    `${rows.filter(row => row[side] === result).length}`
  const line = (name: string, side: 'ours' | 'linux'): string =>
    cells([name, ...RESULTS.map(result => count(side, result))])
  return [
    '# Conformance',
    '',
    'Written by `npm run conformance`; do not edit. What the standards ask of a server’s TCP/IP, and how our stack and the',
    'Linux kernel answer the same packets. Each case (`tests/src/conformance/requirements/`) is a script of a peer that sends',
    'hand-made frames; it runs against our stack in virtual time and against the kernel over a TAP in real time. A row may be',
    'shown by unit tests instead; that they exist and pass is checked by running them.',
    '',
    `Linux is ${release().replace(/^(\d+\.\d+).*/, '$1')}, with its defaults and cubic, in a network namespace. *deviates*: does something else on purpose; the`,
    'remark says what, and the case fails if it no longer does. *not run*: the remark says why.',
    '',
    cells(['', ...RESULTS]),
    cells(['---', ...RESULTS.map(() => '---:')]),
    line('ours', 'ours'),
    line('Linux', 'linux'),
  ].join('\n')
}

function pendingPart(): string {
  const entries = Object.entries(PENDING)
  if (entries.length === 0) return ''
  const lines = entries.map(([text, missing]) => `- ${text}: ${missing}`)
  return `## Pending\n\n${lines.join('\n')}`
}

function table(rows: readonly Row[]): string {
  const head = [
    'requirement',
    'level',
    'source',
    'what is asked',
    'ours',
    'Linux',
    'shown by',
    'remark',
  ]
  return [cells(head), cells(head.map(() => '---')), ...rows.map(line)].join('\n')
}

function line({ requirement, ours, linux }: Row): string {
  const { id, level, rfc, text } = requirement
  return cells([id, level, rfc, text, ours, linux, shownBy(requirement), remark(requirement)])
}

function shownBy({ run, tests }: Row['requirement']): string {
  const files = (tests ?? []).map(
    reference => splitReference(reference).file.split('/').at(-1) ?? '',
  )
  return [...(run === undefined ? [] : ['script']), ...new Set(files)].join(', ')
}

function remark({
  text,
  notApplicable,
  notOnLinux,
  deviates,
  differs,
}: Row['requirement']): string {
  return [
    notApplicable,
    deviates?.ours && `ours: ${deviates.ours}`,
    deviates?.linux && `Linux: ${deviates.linux}`,
    differs,
    notOnLinux && `not on Linux: ${notOnLinux}`,
    PENDING[text] && `pending: ${PENDING[text]}`,
  ]
    .filter(Boolean)
    .join('; ')
}

/** Everything in which the two targets do not do the same, and why. */
function differences(rows: readonly Row[]): string {
  const compared = rows.filter(({ requirement, linux }) => requirement.run && linux !== 'not run')
  const different = compared.filter(
    ({ ours, linux, facts }) => (ours === 'pass') !== (linux === 'pass') || facts.length > 0,
  )
  const lines = different.map(({ requirement, ours, linux, facts }) => {
    const seen = facts.map(([name, a, b]) => `${name}: ours ${a}, Linux ${b}`).join('; ')
    return `- **${requirement.text}** (${requirement.rfc}). Ours: ${ours}, Linux: ${linux}. ${seen}${seen && '. '}${remark(requirement)}.`
  })
  return `## Differences between ours and Linux\n\n${compared.length} cases ran on both; in ${different.length} they differ.\n\n${lines.join('\n')}`
}

const cells = (texts: readonly string[]): string =>
  `| ${texts.map(text => text.replaceAll('|', '\\|')).join(' | ')} |`
