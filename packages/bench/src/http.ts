/**
 * What a web server does beside plain answers, ours on a TAP and on a veth pair against nginx with
 * the same features: 304 (RFC 9110 §13.1.2), a range (§14), a precompressed variant (§12.5.3), and
 * many files, and what is stored of an origin (RFC 9111). 64 connections, kept alive; each row asks
 * both sides once and looks at the answer before it measures.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { ask, type Expected, problemOf } from './ask.ts'
import {
  demandAll,
  figure,
  measure,
  type ObjectName,
  pathOf,
  type Rates,
  ratioFigure,
  withObjects,
} from './compare.ts'
import { START } from './devices.ts'
import { objectByte } from './objects.ts'
import type { Options } from './options.ts'
import { ended, startInside } from './process.ts'
import { markdownTable, report } from './report.ts'
import { type Running, type Side, startNginx } from './servers.ts'
import { CONNECTIONS, type Load } from './wrk.ts'

const OURS = ['tap', 'packet'] as const
const MANY_COUNT = 10_000
const MANY_BYTES = 1024
const TEXT_BYTES = 22 * 1024
const TEXT_TYPE = 'text/css; charset=utf-8'
/** Beside each server, on its own loopback. */
const ORIGIN = 'http://127.0.0.1:3000'
const RANGE = { from: 4000, to: 7999 }

/** What nginx needs to do the same. */
const NGINX_LINES = `
    gzip_static on;
    gzip_vary on;
    open_file_cache max=20000 inactive=1h;
    types { "${TEXT_TYPE}" css; }
    location /stored/ { proxy_pass ${ORIGIN}; proxy_cache stored; }`

const nginxCache = (workDir: string): string =>
  `proxy_cache_path ${workDir}/stored levels=1:2 keys_zone=stored:10m use_temp_path=off;`

interface Row {
  readonly name: string
  readonly path: string
  readonly fields: Readonly<Record<string, string>>
  readonly expected: Expected
  /** The request carries the tag that the server gave the object. */
  readonly isRevalidation?: boolean
  readonly script?: string
}

type Result = Rates & { readonly name: string }

/** Runs the comparison. Throws when a row was refused, after the others are reported. */
export const benchHttp = (options: Options): Promise<void> =>
  withObjects(async (dir, workDir) => {
    const plain = plainRows(dir)
    const rows = options.quick ? plain.slice(0, 1) : [...plain, ...featureRows(dir, workDir)]
    const sides: Side[] = []
    for (const name of OURS) sides.push(await START[name](dir, ['--origin', ORIGIN]))
    sides.push(await startNginx(dir, workDir, { server: NGINX_LINES, http: nginxCache(workDir) }))
    const origins: Running[] = []
    for (const side of sides) origins.push(await startOrigin(side.serverNamespace, dir))
    const results: Result[] = []
    for (const row of rows) results.push({ name: row.name, ...(await run(row, sides, options)) })
    for (const running of [...sides, ...origins]) await running.stop()
    report('http', table(results), { connections: CONNECTIONS, rows: results }, options)
    demandAll(results)
  })

function plainRows(dir: string): Row[] {
  return (['22 KB', '1 KB'] as const).map(object => {
    const expected = { status: 200, body: bodyOf(dir, object) }
    return { name: `${object}, whole`, path: pathOf(object), fields: {}, expected }
  })
}

const bodyOf = (dir: string, object: ObjectName): Uint8Array =>
  readFileSync(join(dir, pathOf(object)))

/** An origin whose answers are the 22 KB of `dir`, fresh for an hour. */
async function startOrigin(namespace: string, dir: string): Promise<Running> {
  const code = `
    const body = require('node:fs').readFileSync('${join(dir, pathOf('22 KB'))}')
    const fields = { 'Cache-Control': 'max-age=3600', 'Content-Length': body.length }
    const { hostname, port } = new URL('${ORIGIN}')
    require('node:http').createServer((request, response) => {
      response.writeHead(200, fields).end(body)
    }).listen(port, hostname, () => console.log('ready'))`
  const child = startInside(namespace, [process.execPath, '-e', code])
  const done = ended(child)
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', () => resolve())
    done.then(exit => reject(new Error(`the origin ended with code ${exit}`)), reject)
  })
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL')
    await done
  }
  return { url: ORIGIN, stop }
}

/** Writes what the other rows need, and tells them. */
function featureRows(dir: string, workDir: string): Row[] {
  const path = pathOf('22 KB')
  const body = bodyOf(dir, '22 KB')
  const { from, to } = RANGE
  const range = { 'content-range': `bytes ${from}-${to}/${body.length}` }
  const gzip = { 'content-encoding': 'gzip', 'content-type': TEXT_TYPE, vary: 'Accept-Encoding' }
  return [
    {
      name: '22 KB, not modified (304)',
      path,
      fields: {},
      expected: { status: 304, body: new Uint8Array() },
      isRevalidation: true,
    },
    {
      name: `22 KB, bytes ${from} to ${to} (206)`,
      path,
      fields: { Range: `bytes=${from}-${to}` },
      expected: { status: 206, body: body.subarray(from, to + 1), fields: range },
    },
    {
      name: '22 KB of text, its .gz',
      path: '/style.css',
      fields: { 'Accept-Encoding': 'gzip' },
      expected: { status: 200, body: writeText(dir), fields: gzip },
    },
    {
      name: '22 KB, stored of an origin',
      path: `/stored${path}`,
      fields: {},
      expected: { status: 200, body },
    },
    {
      name: `${MANY_COUNT} files of 1 KB`,
      path: `/many/${MANY_COUNT - 1}.bin`,
      fields: {},
      expected: { status: 200, body: writeMany(dir) },
      script: writeWalk(workDir),
    },
  ]
}

/** A style sheet and its .gz, whose bytes are returned. */
function writeText(dir: string): Uint8Array {
  let text = ''
  for (let i = 0; text.length < TEXT_BYTES; i++) {
    text += `.c${objectByte(i)} { margin: ${objectByte(i + 7)}px ${objectByte(i * 31)}px }\n`
  }
  const coded = gzipSync(text.slice(0, TEXT_BYTES), { level: 9 })
  writeFileSync(join(dir, 'style.css'), text.slice(0, TEXT_BYTES))
  writeFileSync(join(dir, 'style.css.gz'), coded)
  return coded
}

/** Files that differ; returns the last one's bytes. */
function writeMany(dir: string): Uint8Array {
  const body = Buffer.alloc(MANY_BYTES)
  for (let i = 0; i < MANY_BYTES; i++) body[i] = objectByte(i)
  mkdirSync(join(dir, 'many'))
  for (let i = 0; i < MANY_COUNT; i++) {
    body.writeUInt32BE(i)
    writeFileSync(join(dir, 'many', `${i}.bin`), body)
  }
  return body
}

/** A script for wrk that asks for one file after the other; the requests are made beforehand. */
function writeWalk(workDir: string): string {
  const file = join(workDir, 'walk.lua')
  writeFileSync(
    file,
    `
local requests, at = {}, 0
function init()
  for i = 0, ${MANY_COUNT - 1} do requests[i] = wrk.format("GET", "/many/" .. i .. ".bin") end
end
function request()
  at = (at + 1) % ${MANY_COUNT}
  return requests[at]
end
`,
  )
  return file
}

async function run(row: Row, sides: readonly Side[], options: Options): Promise<Rates> {
  const loads: Load[] = []
  for (const side of sides) {
    const fields = row.isRevalidation
      ? { 'If-None-Match': await tagOf(side, row.path) }
      : row.fields
    const problem = problemOf(await ask(side, row.path, fields), row.expected)
    if (problem !== '') return { rates: {}, refused: `${side.name}: ${problem}` }
    const script = row.script === undefined ? {} : { script: row.script }
    loads.push({ path: row.path, close: false, fields, ...script })
  }
  return measure(sides, loads, options)
}

/** The entity tag that a server gives an object: each has its own way to make one. */
const tagOf = async (side: Side, path: string): Promise<string> =>
  (await ask(side, path, {})).fields['etag'] ?? ''

function table(results: readonly Result[]): string {
  const head = ['answer', 'requests/s: tap', 'packet', 'nginx', 'tap / nginx', 'packet / nginx']
  return markdownTable(
    head,
    results.map(({ name, rates, refused }) => [
      name,
      ...(refused === ''
        ? [
            ...[...OURS, 'nginx'].map(side => figure(rates[side], 0)),
            ...OURS.map(side => ratioFigure(rates[side], rates['nginx'])),
          ]
        : [`refused: ${refused}`, '', '', '', '']),
    ]),
  )
}
