/**
 * `npm run http-table`: asks every question (questions.ts) of our server on both mounts and of the
 * others that are installed, and writes the answers to docs/http-answers.md. With names, only those
 * servers, as lines of JSON on stdout, and nothing is written. In a network namespace of its own,
 * as root; exit code 1 if ours answers any question other than expected.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../kit/server.ts'
import { temporaryFolder } from '../kit/temporary.ts'
import { exchange } from './exchange.ts'
import { QUESTIONS } from './questions.ts'
import { SERVERS } from './servers.ts'
import { makeSite } from './site.ts'

const OURS = ['kernel', 'tap']

/** By question: what is wrong with the answer, '' if nothing is. */
async function askAll(name: string): Promise<string[]> {
  const work = temporaryFolder('http')
  const server = await SERVERS[name].start(makeSite(work.path), work.path)
  const verdicts: string[] = []
  for (const { sent, methods, judge } of QUESTIONS) {
    verdicts.push(judge(await exchange(server.host, server.port, sent, methods)))
  }
  await server.stop()
  work.remove()
  return verdicts
}

function table(results: ReadonlyMap<string, string[]>): string {
  const names = [...results.keys()]
  const versions = names.map(name => `${name} ${SERVERS[name].version()}`.trim())
  const lines = [
    '# The same questions to several servers',
    '',
    'Written by `npm run http-table`. Each row is one connection (tests/src/http/questions.ts), sent to our',
    'server on the kernel’s TCP and on our own over a TAP, and to others as they serve files when little is',
    'configured (tests/src/http/servers.ts; nginx, caddy and h2o with their switch for ready-made .gz and .br;',
    'many of the rows can be mended by configuring more). ✓ is what the RFC, or whoever runs a server, expects;',
    'else it says what came.',
    '',
    `| | ${versions.join(' | ')} |`,
    `|---|${names.map(() => '---|').join('')}`,
  ]
  const score = names.map(name => results.get(name)!.filter(verdict => verdict === '').length)
  lines.push(`| **of ${QUESTIONS.length}** | ${score.map(n => `**${n}**`).join(' | ')} |`)
  let area = ''
  QUESTIONS.forEach((question, i) => {
    if (question.area !== area)
      lines.push(`| **${question.area}** |${names.map(() => ' |').join('')}`)
    area = question.area
    const cells = names.map(name => results.get(name)![i].replaceAll('|', '\\|') || '✓')
    lines.push(`| ${question.name} | ${cells.join(' | ')} |`)
  })
  return `${lines.join('\n')}\n`
}

const only = process.argv.slice(2)
const here = Object.keys(SERVERS).filter(name => SERVERS[name].version() !== undefined)
const results = new Map<string, string[]>()
for (const name of only.length > 0 ? only : here) results.set(name, await askAll(name))
for (const [name, verdicts] of results) {
  verdicts.forEach((verdict, i) => {
    const { area, name: question } = QUESTIONS[i]
    if (only.length > 0) console.log(JSON.stringify({ server: name, area, question, verdict }))
    else if (verdict !== '' && OURS.includes(name))
      console.error(`${name}: ${question}: ${verdict}`)
    if (verdict !== '' && OURS.includes(name)) process.exitCode = 1
  })
}
if (only.length === 0) writeFileSync(join(ROOT, 'docs/http-answers.md'), table(results))
