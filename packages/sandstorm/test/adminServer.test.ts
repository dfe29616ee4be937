/** The admin server as its clients see it: real HTTP on the loopback address. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, describe, test } from 'node:test'
import type { Health } from '../src/admin/adminAnswers.ts'
import { type AdminOptions, AdminServer } from '../src/admin/adminServer.ts'
import { connectionLines } from '../src/admin/connectionLines.ts'
import { Histogram } from '../src/admin/histogram.ts'
import { metricsPage } from '../src/admin/metrics.ts'
import { MetricsText } from '../src/admin/metricsText.ts'
import type { Part } from '../src/control/inspector.ts'
import { StartError } from '../src/startError.ts'
import { parseMetrics } from './kit/prometheus.ts'

const servers: AdminServer[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close()
})

const told: string[] = []
const OPTIONS: AdminOptions = {
  address: '127.0.0.1',
  port: 0,
  snapshot: async () => ({ counters: { timeWait: 3 } }),
  health: () => 'serving',
  connections: () => undefined,
  log: { limited: (_, line) => void told.push(line) },
}

async function start(options: Partial<AdminOptions> = {}): Promise<string> {
  const server = await AdminServer.start({ ...OPTIONS, ...options })
  servers.push(server)
  return `http://127.0.0.1:${server.port}`
}

/** Status and body of a request written by hand. */
async function raw(url: string, text: string): Promise<{ status: number; all: string }> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1').setEncoding('latin1')
  socket.write(text)
  let all = ''
  socket.on('data', chunk => {
    all += chunk
  })
  socket.on('error', () => {})
  await once(socket, 'close')
  return { status: Number(all.split(' ')[1]), all }
}

describe('pages', () => {
  test('are listed at /', async () => {
    const url = await start()
    const answer = await fetch(`${url}/`)
    assert.equal(answer.status, 200)
    assert.equal(answer.headers.get('content-type'), 'text/plain; charset=utf-8')
    const text = await answer.text()
    for (const path of text.match(/^\/\w+/gm) ?? [])
      assert.notEqual((await fetch(url + path, { method: 'DELETE' })).status, 404)
    assert.equal(text.match(/^\/\w+/gm)?.length, 6)
  })

  test('say how the server is', async () => {
    let health: Health = 'loading'
    const url = await start({ health: () => health })
    const seen: unknown[] = []
    for (health of ['loading', 'serving', 'draining', 'failed'] as const) {
      const healthz = await fetch(`${url}/healthz`)
      const readyz = await fetch(`${url}/readyz?verbose`)
      seen.push([healthz.status, await healthz.text(), readyz.status, await readyz.text()])
    }
    assert.deepEqual(seen, [
      [200, 'ok\n', 503, 'loading\n'],
      [200, 'ok\n', 200, 'serving\n'],
      [200, 'ok\n', 503, 'draining\n'],
      [503, 'no device serves\n', 503, 'failed\n'],
    ])
  })

  test('are only those, and only to be read', async () => {
    const url = await start()
    for (const path of ['/nothing', '/metrics/', '/Metrics', '/%6detrics'])
      assert.equal((await fetch(url + path)).status, 404)
    for (const method of ['POST', 'PUT', 'OPTIONS', 'PURGE']) {
      const answer = await fetch(`${url}/metrics`, { method })
      assert.equal(answer.status, 405)
      assert.equal(answer.headers.get('allow'), 'GET, HEAD')
    }
    const head = await fetch(`${url}/metrics`, { method: 'HEAD' })
    assert.deepEqual([head.status, await head.text()], [200, ''])
    assert.ok(Number(head.headers.get('content-length')) > 100)
  })
})

describe('a request', () => {
  test('by a name that is not ours is refused, since a browser may have been misled', async () => {
    const url = await start({ hosts: ['web1.example.org'] })
    const { port } = new URL(url)
    const status = async (host: string): Promise<number> =>
      (await raw(url, `GET /healthz HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)).status
    const known = ['localhost', `LOCALHOST:${port}`, '127.0.0.1', '127.0.0.1:1', '192.0.2.1:9077']
    for (const host of [...known, '[::1]', '[2001:db8::1]:1'])
      assert.equal(await status(host), 200, host)
    assert.equal(await status(`Web1.example.org:${port}`), 200)
    for (const host of [
      ...['evil.example', `evil.example:${port}`, 'localhost.evil.example', 'example.org', ''],
      ...['127.0.0.1.evil.example', '127.0.0.1:x', '[::1].evil.example', '[evil.example]', '1'],
    ])
      assert.equal(await status(host), 403, host)
  })

  test('may come from a probe that speaks HTTP/1.0 without Host', async () => {
    const url = await start()
    assert.equal((await raw(url, 'GET /healthz HTTP/1.0\r\n\r\n')).status, 200)
  })

  test('is small', async () => {
    const url = await start()
    const begin = 'GET / HTTP/1.1\r\nHost: localhost\r\n'
    assert.equal((await raw(url, `${begin}X: ${'x'.repeat(9000)}\r\n\r\n`)).status, 431)
    assert.equal((await raw(url, `${begin}Content-Length: 10\r\n\r\n`)).status, 413)
    assert.equal((await raw(url, `${begin}Transfer-Encoding: chunked\r\n\r\n`)).status, 413)
    assert.equal((await raw(url, 'GET / HTTP/1.1\r\n\r\n')).status, 400)
    assert.equal((await raw(url, 'nonsense\r\n\r\n')).status, 400)
  })
})

describe('metrics', () => {
  test('are counters as Prometheus wants them', async () => {
    const answer = new Histogram(Histogram.allocate())
    for (const us of [5, 50, 500, 1e9]) answer.observe(us)
    const snapshot: AdminOptions['snapshot'] = async () => ({
      counters: {
        inUse: { connections: 2 },
        timeWait: 1,
        drops: { 'tcp-bad "ack"\\\n': 2 },
        tcp: { passiveOpens: 4 },
        http: { requests: 5 },
        accessLog: { lines: 7, dropped: 0, errors: 0 },
      },
      durations: { answer: Histogram.merge([answer]), reload: Histogram.merge([]) },
    })
    const response = await fetch(`${await start({ snapshot })}/metrics`)
    assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
    const families = parseMetrics(await response.text())
    const value = (name: string, sample = name): number | undefined =>
      families.get(`sandstorm_${name}`)?.samples.get(`sandstorm_${sample}`)
    assert.equal(value('serving'), 1)
    assert.equal(value('http_requests_total'), 5)
    assert.equal(value('tcp_passive_opens_total'), 4)
    assert.equal(value('time_wait_connections'), 1)
    assert.equal(value('connections'), 2)
    assert.equal(value('access_log_lines_total'), 7)
    assert.equal(value('drops_total', 'drops_total{reason="tcp-bad \\"ack\\"\\\\\\n"}'), 2)
    assert.equal(value('answer_seconds', 'answer_seconds_bucket{le="0.000064"}'), 2)
    assert.equal(value('answer_seconds', 'answer_seconds_count'), 4)
    assert.equal(value('reload_seconds', 'reload_seconds_count'), 0)
    assert.equal(families.get('sandstorm_connections')?.kind, 'gauge')
    const { help } = families.get('sandstorm_tcp_passive_opens_total') ?? { help: '' }
    assert.equal(help, 'Passive connection openings (TcpPassiveOpens).')
    assert.equal(families.get('process_resident_memory_bytes')?.samples.size, 1)
  })

  test('show what they do not know', () => {
    const counters = { cache: { hitBytes: 4, byStatus: { 200: 3, 404: 1 } }, 'odd-Name': 1 }
    const families = parseMetrics(metricsPage({ counters }, true))
    assert.equal(families.get('sandstorm_cache_hit_bytes_total')?.kind, 'counter')
    assert.equal(families.get('sandstorm_odd_name_total')?.kind, 'counter')
    const { samples } = families.get('sandstorm_cache_by_status_total') ?? { samples: new Map() }
    assert.equal(samples.get('sandstorm_cache_by_status_total{kind="404"}'), 1)
  })

  test('can be any number', () => {
    const text = new MetricsText()
    text.family('a', 'gauge', 'A \\ and\na line')
    for (const [i, value] of [0, -1.5, 1e300, 1e-9, Infinity, -Infinity, NaN].entries())
      text.sample('a', value, { i: String(i) })
    assert.equal(parseMetrics(text.toString()).get('a')?.samples.size, 7)
  })

  test('are asked for once, however many ask at a time', async () => {
    let asked = 0
    let answer: () => void = () => {}
    const url = await start({
      snapshot: () =>
        new Promise(resolve => {
          asked++
          answer = () => resolve({ counters: {} })
        }),
    })
    const all = Array.from({ length: 10 }, () => fetch(`${url}/metrics`))
    while (asked === 0) await new Promise(resolve => setTimeout(resolve, 5))
    await new Promise(resolve => setTimeout(resolve, 100))
    answer()
    for (const { status } of await Promise.all(all)) assert.equal(status, 200)
    assert.equal(asked, 1)
  })

  test('that cannot be had are a 503, and a line for the operator', async () => {
    told.length = 0
    const refusing = await start({ snapshot: () => Promise.reject(new Error('it has ended')) })
    const refused = await fetch(`${refusing}/metrics`)
    assert.deepEqual([refused.status, await refused.text()], [503, 'no metrics: it has ended\n'])
    const stuck = await start({ snapshot: () => new Promise(() => {}), snapshotMs: 20 })
    assert.equal((await fetch(`${stuck}/metrics`)).status, 503)
    assert.match(told[1], /the packet threads do not answer/)
  })
})

describe('connections', () => {
  test('are lines as conns --json prints them', async () => {
    const connection = { state: 'ESTAB', cwndBytes: 14_280 } as Part['connections'][number]
    async function* parts(): AsyncGenerator<Part> {
      for (let i = 1; i <= 5; i++)
        yield { connections: new Array(500).fill(connection), timeWait: i }
    }
    const url = await start({ connections: parts })
    const answer = await fetch(`${url}/connections`)
    assert.equal(answer.headers.get('content-type'), 'application/x-ndjson')
    const lines = (await answer.text())
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    assert.equal(lines.length, 2501)
    assert.deepEqual(lines[0], { type: 'connection', pid: process.pid, ...connection })
    assert.deepEqual(lines[2500].states, { ESTAB: 2500, 'TIME-WAIT': 5 })
    const head = await fetch(`${url}/connections`, { method: 'HEAD' })
    assert.deepEqual([head.status, await head.text()], [200, ''])
  })

  test("are not there on the kernel's stack", async () => {
    assert.equal((await fetch(`${await start()}/connections`)).status, 404)
  })

  test('beyond a limit end with a line that says so', async () => {
    const connection = { state: 'ESTAB' } as Part['connections'][number]
    async function* parts(): AsyncGenerator<Part> {
      for (;;) yield { connections: [connection, connection, connection], timeWait: 0 }
    }
    let text = ''
    for await (const part of connectionLines(parts(), 7)) text += part
    const lines = text
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    assert.equal(lines.length, 8)
    assert.deepEqual(lines[7], { type: 'error', message: 'there are more connections than 7' })
  })

  test('are listed for two at a time, and cut short if they end', async () => {
    let fail: (error: Error) => void = () => {}
    async function* parts(): AsyncGenerator<Part> {
      yield { connections: [{ state: 'ESTAB' } as Part['connections'][number]], timeWait: 0 }
      await new Promise((_, reject) => {
        fail = reject
      })
    }
    const url = await start({ connections: parts })
    const first = await fetch(`${url}/connections`)
    const aborted = new AbortController()
    await fetch(`${url}/connections`, { signal: aborted.signal })
    const third = await fetch(`${url}/connections`)
    assert.deepEqual([third.status, third.headers.get('retry-after')], [503, '1'])
    aborted.abort()
    let fourth = third
    for (let i = 0; i < 200 && fourth.status === 503; i++)
      fourth = await fetch(`${url}/connections`)
    assert.equal(fourth.status, 200, 'the place of who went away is free')
    fail(new Error('the server has ended'))
    await assert.rejects(fourth.text())
    await first.body?.cancel()
  })
})

describe('an address', () => {
  test('that cannot be had is one line with flag and reason', async () => {
    const url = await start()
    const port = Number(new URL(url).port)
    await assert.rejects(AdminServer.start({ ...OPTIONS, port }), (error: Error) => {
      assert.ok(error instanceof StartError)
      assert.equal(
        error.message,
        `--admin 127.0.0.1:${port}: another program listens there already. Stop it, or choose another port`,
      )
      return true
    })
    const elsewhere = AdminServer.start({ ...OPTIONS, address: '192.0.2.1' })
    await assert.rejects(elsewhere, /^StartError: --admin 192\.0\.2\.1:0: this machine has no such/)
  })

  test('is free again when the server is closed, whoever is still connected', async () => {
    const url = await start()
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    await once(socket, 'connect')
    const closed = once(socket, 'close')
    await servers.pop()?.close()
    await closed
    await assert.rejects(fetch(url))
  })
})
