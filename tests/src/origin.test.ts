/**
 * `--origin` before a real nginx, asked with curl, on both mounts: the committed command, its
 * cache, its orders on the admin address, and what is left of both when nginx has gone.
 */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { run, start } from './kit/command.ts'
import { MOUNTS } from './kit/mounts.ts'
import { Namespace } from './kit/namespace.ts'
import { needs } from './kit/privileges.ts'
import { HOST_ADDRESS, Server } from './kit/server.ts'
import { type TemporaryFolder, temporaryFolder } from './kit/temporary.ts'

const BIG = randomBytes(24 << 20)
const TEXT = 'zebra '.repeat(2000)
/** In a namespace of the test's own all ports are free. */
const NGINX_PORT = 3000
const ADMIN = '127.0.0.1:9077'

/** One that stores for a minute; what has a type of its own is compressed for who likes that. */
const nginxConfig = (root: string, work: string): string => `daemon off;
master_process off; pid ${work}/nginx.pid; error_log /dev/null;
events {}
http {
  access_log off; client_body_temp_path ${work}/body; default_type application/octet-stream;
  types { text/plain txt; }
  gzip on; gzip_vary on; gzip_types text/plain; gzip_proxied any;
  server {
    listen 127.0.0.1:${NGINX_PORT}; root ${root}; expires 60s;
    location /echo { expires off; return 200 "$request_method $http_x_forwarded_for $http_host"; }
    location /private { add_header Cache-Control private always; expires off; return 200 secret; }
  }
}`

interface Asked {
  readonly status: number
  readonly head: string
  readonly body: Buffer
}

for (const { name, flags, needs: needed } of MOUNTS)
  describe(`--origin before nginx, ${name}`, needs('nginx', 'curl', ...needed), () => {
    let work: TemporaryFolder
    let nginx: ChildProcess
    let ended: Promise<unknown>
    let server: Server
    let namespace: Namespace
    const client = flags.includes('kernel') ? '127.0.0.1' : HOST_ADDRESS

    before(async () => {
      work = temporaryFolder('origin')
      namespace = new Namespace()
      const [www, site] = ['www', 'site'].map(name => join(work.path, name))
      for (const folder of [www, site]) mkdirSync(folder)
      writeFileSync(join(www, 'zebra.txt'), TEXT)
      writeFileSync(join(www, 'big.bin'), BIG)
      writeFileSync(join(www, 'both.txt'), 'of nginx')
      writeFileSync(join(site, 'both.txt'), 'of the folder')
      writeFileSync(join(work.path, 'nginx.conf'), nginxConfig(www, work.path))
      const command = ['nginx', '-c', join(work.path, 'nginx.conf'), '-e', '/dev/null']
      nginx = start(command, { namespace })
      ended = new Promise(resolve => nginx.once('close', resolve))
      const origin = ['--origin', `http://127.0.0.1:${NGINX_PORT}`, '--admin', ADMIN]
      server = await Server.serve([site, ...origin, ...flags], { namespace })
      // Its own probe: 502 until nginx is there.
      const patient = [
        'curl',
        '-sS',
        '-f',
        '-o',
        '/dev/null',
        '--retry',
        '50',
        '--retry-delay',
        '1',
      ]
      const probe = [...patient, '--retry-all-errors', `${server.url}/echo`]
      assert.equal((await run(probe, { namespace })).code, 0)
    })
    after(async () => {
      nginx?.kill()
      await ended
      await server?.stop()
      namespace?.remove()
      work?.remove()
    })

    async function ask(path: string, ...args: string[]): Promise<Asked> {
      const [head, body] = ['head', 'out'].map(name => join(work.path, name))
      writeFileSync(body, '')
      const outputs = ['-o', body, '-D', head, '-w', '%{http_code}']
      const command = ['curl', '-sS', '--max-time', '60', ...outputs, ...args, server.url + path]
      const { code, stdout, stderr } = await run(command, { namespace })
      assert.equal(code, 0, stderr)
      return {
        status: Number(stdout),
        head: readFileSync(head, 'latin1').toLowerCase(),
        body: readFileSync(body),
      }
    }
    const purge = (query: string): Promise<string> =>
      run(['curl', '-sS', '-X', 'POST', `http://${ADMIN}/purge?${query}`], { namespace }).then(
        ({ stdout }) => stdout,
      )

    it('answers with its own files first', async () => {
      assert.equal((await ask('/both.txt')).body.toString(), 'of the folder')
    })

    it('stores what nginx lets be stored, in each coding', async () => {
      for (const [coding, expected] of [
        ['identity', /fwd=uri-miss.*stored/],
        ['identity', /; hit/],
        ['gzip', /fwd=vary-miss.*stored/],
        ['gzip', /; hit/],
      ] as const) {
        const fields = ['-H', `Accept-Encoding: ${coding}`, '--compressed']
        const { status, head, body } = await ask('/zebra.txt', ...fields)
        assert.equal(status, 200)
        assert.equal(body.toString(), TEXT)
        assert.match(head, expected)
        assert.equal(/content-encoding: gzip/.test(head), coding === 'gzip')
      }
    })

    it('answers heads, ranges and conditions from the store', async () => {
      const plain = ['-H', 'Accept-Encoding: identity']
      const whole = await ask('/zebra.txt', ...plain)
      const etag = /^etag: (.*)\r$/m.exec(whole.head)?.[1] ?? ''
      const head = await ask('/zebra.txt', ...plain, '-I')
      assert.match(head.head, /; hit/)
      assert.match(head.head, /^content-length: 12000\r$/m)
      const part = await ask('/zebra.txt', ...plain, '-r', '6-10')
      assert.deepEqual([part.status, part.body.toString()], [206, 'zebra'])
      const same = await ask('/zebra.txt', ...plain, '-H', `If-None-Match: ${etag}`)
      assert.deepEqual([same.status, same.body.length], [304, 0])
      assert.match(same.head, /; hit/)
    })

    it('hands on what is too large to be stored, whole', async () => {
      const { status, body, head } = await ask('/big.bin')
      assert.equal(status, 200)
      assert.match(head, /detail=too-large/)
      const sha = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
      assert.equal(sha(body), sha(BIG))
      const part = await ask('/big.bin', '-r', '20000000-20000099')
      assert.equal(part.status, 206)
      assert.ok(part.body.equals(BIG.subarray(20_000_000, 20_000_100)))
    })

    it('hands on bodies, and says who asks', async () => {
      const host = new URL(server.url).host
      for (const args of [
        ['-d', 'a=b'],
        ['-d', 'a=b', '-H', 'Transfer-Encoding: chunked'],
        ['-d', 'a=b', '-H', 'Expect: 100-continue'],
      ]) {
        const { status, body } = await ask('/echo', ...args)
        assert.deepEqual([status, body.toString()], [200, `POST ${client} ${host}`])
      }
      assert.equal((await ask('/echo', '-X', 'DELETE')).body.toString(), `DELETE ${client} ${host}`)
    })

    it('stores nothing that is private', async () => {
      for (let i = 0; i < 2; i++) assert.match((await ask('/private')).head, /detail=private/)
    })

    it('drops what it is told to', async () => {
      const url = encodeURIComponent(`${server.url}/zebra.txt`)
      assert.equal(await purge(`url=${url}&soft`), '{"purged":2}\n')
      const fields = ['-H', 'Accept-Encoding: identity']
      assert.match((await ask('/zebra.txt', ...fields)).head, /fwd=stale; fwd-status=304/)
      assert.equal(await purge(`url=${url}`), '{"purged":2}\n')
      assert.match((await ask('/zebra.txt', ...fields)).head, /fwd=uri-miss/)
    })

    it('goes on with what it has when nginx is gone', async () => {
      await ask('/zebra.txt')
      nginx.kill()
      await ended
      assert.equal((await ask('/both.txt')).status, 200)
      assert.equal((await ask('/zebra.txt')).status, 200)
      const stale = await ask('/zebra.txt', '-H', 'Cache-Control: max-age=0')
      assert.equal(stale.body.toString(), TEXT)
      assert.match(stale.head, /detail=(down|closed)/)
      assert.equal((await ask('/none')).status, 502)
    })
  })
