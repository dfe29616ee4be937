/**
 * Request bodies on their way to an origin, sent with curl on both mounts: sized and in chunks, of
 * megabytes, with and without "Expect: 100-continue"; nginx stores them, and what it stored is
 * compared. Another origin takes its time.
 */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { run, start } from './kit/command.ts'
import { MOUNTS } from './kit/mounts.ts'
import { Namespace } from './kit/namespace.ts'
import { needs } from './kit/privileges.ts'
import { Server } from './kit/server.ts'
import { type TemporaryFolder, temporaryFolder } from './kit/temporary.ts'

const NGINX_PORT = 3000
const SLOW_PORT = 3001
const MOST = 32 << 20

/** It refuses what is not well-formed, and PUT stores a body under its path. */
const nginxConfig = (work: string): string => `daemon off;
master_process off; pid ${work}/nginx.pid; error_log /dev/null;
events {}
http {
  access_log off; client_body_temp_path ${work}/body;
  server {
    listen 127.0.0.1:${NGINX_PORT}; root ${work}/stored; client_max_body_size 0;
    location / { dav_methods PUT; }
  }
}`

/** Pauses before each part; answers with the hash of all, and says how it came. */
const SLOW_ORIGIN = `
const { createHash } = require('node:crypto')
const pause = () => new Promise(resolve => setTimeout(resolve, 1))
require('node:http').createServer(async (request, response) => {
  const hash = createHash('sha256')
  for await (const part of request) { hash.update(part); await pause() }
  response.end(hash.digest('hex') + ' ' + (request.headers['transfer-encoding'] ?? 'sized'))
}).listen(${SLOW_PORT}, '127.0.0.1', () => console.log('ready'))`

const CONFIG = `
[limits]
bodyBytes = ${MOST}

[[sites]]
[sites.origin]
url = "http://127.0.0.1:${NGINX_PORT}"

[[sites]]
hosts = ["slow.example"]
[sites.origin]
url = "http://127.0.0.1:${SLOW_PORT}"
`

const sha = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

for (const { name, flags, needs: needed } of MOUNTS)
  describe(`request bodies, ${name}`, needs('nginx', 'curl', ...needed), () => {
    let work: TemporaryFolder
    let namespace: Namespace
    let server: Server
    const origins: ChildProcess[] = []
    const files: { path: string; hash: string; size: number }[] = []

    before(async () => {
      work = temporaryFolder('uploads')
      namespace = new Namespace()
      mkdirSync(join(work.path, 'stored'))
      writeFileSync(join(work.path, 'stored', 'ready'), '')
      writeFileSync(join(work.path, 'nginx.conf'), nginxConfig(work.path))
      writeFileSync(join(work.path, 'site.toml'), CONFIG)
      for (const size of [3_000_000, 30_000_000]) {
        const bytes = randomBytes(size)
        const path = join(work.path, `sent-${size}`)
        writeFileSync(path, bytes)
        files.push({ path, hash: sha(bytes), size })
      }
      const nginx = ['nginx', '-c', join(work.path, 'nginx.conf'), '-e', '/dev/null']
      const slow = start([process.execPath, '-e', SLOW_ORIGIN], { namespace })
      origins.push(slow, start(nginx, { namespace }))
      await once(slow.stdout!, 'data')
      server = await Server.serve(['--config', join(work.path, 'site.toml'), ...flags], {
        namespace,
      })
      // Its own probe: 502 until nginx is there.
      const patient = ['--retry', '50', '--retry-delay', '1', '--retry-all-errors']
      const probe = ['curl', '-sS', '-f', ...patient, `${server.url}/ready`]
      assert.equal((await run(probe, { namespace })).code, 0)
    })
    after(async () => {
      for (const origin of origins) {
        const ended = once(origin, 'close')
        origin.kill()
        await ended
      }
      await server?.stop()
      namespace?.remove()
      work?.remove()
    })

    /** curl uploads a file, by its standard input if it is not to know the length. */
    async function upload(file: string, isChunked: boolean, ...args: string[]): Promise<string> {
      const out = ['-sS', '--max-time', '100', '-w', '\n%{http_code} %{num_connects}']
      const source = isChunked ? `cat '${file}' | curl -T -` : `curl -T '${file}'`
      const quoted = [...out, ...args].map(arg => `'${arg}'`).join(' ')
      const { code, stdout, stderr } = await run(['sh', '-c', `${source} ${quoted}`], { namespace })
      assert.equal(code, 0, stderr)
      return stdout
    }

    for (const isChunked of [false, true])
      for (const expect of ['Expect:', 'Expect: 100-continue']) {
        const how = `${isChunked ? 'in chunks' : 'sized'}, ${expect}`
        it(`reach nginx whole: ${how}`, async () => {
          for (const { path, hash, size } of files) {
            const to = `stored-${size}-${isChunked}-${expect.length}`
            const said = await upload(path, isChunked, '-H', expect, `${server.url}/${to}`)
            assert.match(said, /\n201 1$/)
            assert.equal(sha(readFileSync(join(work.path, 'stored', to))), hash)
          }
        })
      }

    it('reach a slow origin whole', async () => {
      const host = ['-H', 'Host: slow.example', '-H', 'Expect:']
      for (const isChunked of [false, true])
        for (const { path, hash } of files) {
          const said = await upload(path, isChunked, ...host, `${server.url}/x`)
          assert.equal(said, `${hash} ${isChunked ? 'chunked' : 'sized'}\n200 1`)
        }
    })

    it('over bodyBytes are refused, wherever that shows', async () => {
      const big = join(work.path, 'big')
      writeFileSync(big, Buffer.alloc(MOST + 1))
      for (const isChunked of [false, true]) {
        const said = await upload(big, isChunked, '-o', '/dev/null', `${server.url}/big`)
        assert.match(said, /^\n413 1$/)
      }
    })
  })
