import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import fsPromises from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { NO_RESOURCE } from '../src/content/content.ts'
import { REAL_FS } from '../src/content/fileSystem.ts'
import { STATUSES } from '../src/content/head.ts'
import * as image from '../src/content/image.ts'
import { loadContent } from '../src/content/live.ts'
import { contentType } from '../src/content/mediaType.ts'
import { plainSite } from '../src/site/site.ts'
import {
  answerOf,
  answerTo,
  etagOf,
  find,
  imagesOf,
  load,
  makeTree,
  notModifiedTo,
  storedEtag,
  variantOf,
} from './contentTree.ts'
import { interfering } from './kit/contentFs.ts'

function errorOf(code: string): Error {
  return Object.assign(new Error(code), { code })
}

test('a file is served with its bytes, type, length and entity tag, and has a 304', async t => {
  const body = Buffer.from('body { color: #123456 }\n')
  const root = makeTree(t, { 'css/site.css': body })
  utimesSync(join(root, 'css/site.css'), 784111777.9, 784111777.9)
  const { content, warnings } = await load(root)
  const answer = answerTo(content, '/css/site.css')
  const sha = createHash('sha256').update(body).digest('base64url').slice(0, 22)
  const date = '\0'.repeat(29)
  const connection = '\0'.repeat(10)
  assert.deepEqual(warnings, [])
  assert.deepEqual(answer.body, body)
  assert.equal(
    answer.head,
    `HTTP/1.1 200 OK\r\nServer: sandstorm\r\nDate: ${date}\r\nConnection: ${connection}\r\n` +
      `Content-Type: text/css; charset=utf-8\r\nContent-Length: ${body.length}\r\nETag: "${sha}"\r\n` +
      'Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nAccept-Ranges: bytes\r\n' +
      'X-Content-Type-Options: nosniff\r\n\r\n',
  )
  const notModified = notModifiedTo(content, '/css/site.css')
  assert.equal(
    notModified.head,
    `HTTP/1.1 304 Not Modified\r\nServer: sandstorm\r\nDate: ${date}\r\n` +
      `Connection: ${connection}\r\nETag: "${sha}"\r\n` +
      'Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n',
  )
  assert.equal(storedEtag(content, variantOf(content, '/css/site.css')), sha)
  assert.equal(content.lastModifiedOf(variantOf(content, '/css/site.css')), 784111777)
  assert.equal(notModified.body.length, 0)
})

test('every image keeps the contract of image.ts', async t => {
  const files = { 'index.html': 'x', 'a/index.html': '', 'a/b.bin': new Uint8Array(70001).fill(7) }
  const { content } = await load(makeTree(t, files))
  const ends: number[] = []
  for (const i of imagesOf(content)) {
    const off = content.images[i + image.IMAGE_OFF]
    const headLen = content.images[i + image.HEAD_LEN]
    const { head } = answerOf(content, i)
    assert.equal(off % 2, 0)
    assert.ok(headLen <= image.HEAD_LEN_MAX)
    assert.ok(off >= (ends.at(-1) ?? 0), 'images do not overlap')
    assert.ok(head.endsWith('\r\n\r\n') && head.indexOf('\r\n\r\n') === headLen - 4)
    const field = (name: string, len: number): number =>
      head.indexOf(`\r\n${name}: ${'\0'.repeat(len)}\r\n`) + name.length + 4
    assert.equal(content.images[i + image.DATE_OFF], field('Date', image.DATE_LEN))
    assert.equal(
      content.images[i + image.CONNECTION_OFF],
      field('Connection', image.CONNECTION_LEN),
    )
    ends.push(off + image.answerBytes(content.images, i, false))
  }
  assert.ok(ends.length > STATUSES.length + 6)
})

test('every status has a ready answer whose length is right; 405 says what is allowed', async t => {
  const { content } = await load(makeTree(t, {}))
  for (const status of STATUSES) {
    const answer = answerOf(content, content.statusImage(0, status))
    assert.equal(answer.status, status)
    assert.match(answer.head, new RegExp(`^HTTP/1\\.1 ${status} [A-Z]`))
    const allows = answer.head.includes('\r\nAllow: GET, HEAD, OPTIONS\r\n')
    assert.equal(allows, status === 405 || status === 204)
    if (status === 204) {
      assert.ok(!answer.head.includes('Content-Length') && answer.body.length === 0)
      continue
    }
    assert.ok(answer.head.includes(`\r\nContent-Length: ${answer.body.length}\r\n`))
    assert.match(answer.body.toString(), new RegExp(`<h1>${status} `))
  }
  assert.equal(
    answerOf(content, content.statusImage(0, 299)).status,
    500,
    'a status we do not have',
  )
})

test('a directory with an index file is found as "/dir/", and "/dir" is sent there', async t => {
  const files = {
    'index.html': 'top',
    'a b/index.html': 'inner',
    'c:d/index.html': 'colon',
    'empty/file.txt': '',
    'home/default.htm': 'second',
  }
  const root = makeTree(t, files)
  const { content } = await load(root, { index: ['index.html', 'default.htm'] })
  assert.equal(answerTo(content, '/').body.toString(), 'top')
  assert.equal(answerTo(content, '/a b/').body.toString(), 'inner')
  assert.equal(answerTo(content, '/home/').body.toString(), 'second')
  const same = (a: string, b: string): void =>
    assert.equal(variantOf(content, a), variantOf(content, b))
  same('/', '/index.html')
  same('/a b/', '/a b/index.html')
  assert.match(answerTo(content, '/a b').head, /^HTTP\/1.1 308 .*\r\nLocation: \.\/a%20b\/\r\n/s)
  assert.match(answerTo(content, '/c:d').head, /\r\nLocation: \.\/c%3Ad\/\r\n/)
  assert.equal(answerTo(content, '/empty').status, 404)
  assert.equal(answerTo(content, '/empty/').status, 404)
  assert.equal(answerTo(content, '/empty/file.txt').status, 200)
})

test('a redirect that would not fit into a head is left out with a warning', async t => {
  const name = 'ü'.repeat(100)
  const root = makeTree(t, { [`${name}/index.html`]: 'deep' })
  const rules = [{ match: '/*', headers: { 'X-Long': 'x'.repeat(3600) } }]
  const { content, warnings } = await load(root, { rules })
  assert.equal(answerTo(content, `/${name}/`).body.toString(), 'deep')
  assert.equal(answerTo(content, `/${name}`).status, 404)
  assert.match(warnings.join(), /too long to redirect/)
})

test('hidden names are left out, but for /.well-known/ at the top', async t => {
  const files = {
    '.htaccess': 'no',
    '.git/config': 'no',
    'a/.env': 'no',
    'a/.well-known/x': 'no',
    '.well-known/security.txt': 'yes',
    '.well-known/.hidden': 'no',
  }
  const { content } = await load(makeTree(t, files))
  const served = Object.keys(files).filter(name => answerTo(content, `/${name}`).status === 200)
  assert.deepEqual(served, ['.well-known/security.txt'])
})

test('links are followed inside the root only, and loops end', async t => {
  const outside = makeTree(t, { secret: 'no', 'dir/secret': 'no' })
  const root = makeTree(t, { 'real/file.txt': 'inside', 'deep/er/x.txt': 'x' })
  symlinkSync('real/file.txt', join(root, 'file-link.txt'))
  symlinkSync('real', join(root, 'dir-link'))
  symlinkSync(join(outside, 'secret'), join(root, 'out-file'))
  symlinkSync(join(outside, 'dir'), join(root, 'out-dir'))
  symlinkSync('../../etc/passwd', join(root, 'out-relative'))
  symlinkSync('..', join(root, 'deep/er/up'))
  symlinkSync('.', join(root, 'self'))
  symlinkSync('knot', join(root, 'knot'))
  symlinkSync('nowhere', join(root, 'dangling'))
  const { content, warnings } = await load(root)
  assert.equal(answerTo(content, '/file-link.txt').body.toString(), 'inside')
  assert.equal(answerTo(content, '/dir-link/file.txt').body.toString(), 'inside')
  for (const path of ['/out-file', '/out-dir/secret', '/out-relative', '/knot', '/dangling']) {
    assert.equal(answerTo(content, path).status, 404, path)
  }
  assert.equal(answerTo(content, '/self/real/file.txt').status, 404)
  assert.equal(answerTo(content, '/deep/er/x.txt').status, 200)
  const about = (name: string): number => warnings.filter(w => w.startsWith(`/${name}: `)).length
  const refused = ['out-file', 'out-dir', 'out-relative', 'deep/er/up', 'self', 'knot', 'dangling']
  for (const name of refused) assert.equal(about(name), 1, name)
  assert.equal(warnings.length, refused.length)
})

test('a folder whose name begins like the root is outside of it', async t => {
  const parent = makeTree(t, { 'site/index.html': 'x', 'site-private/secret': 'no' })
  symlinkSync('../site-private/secret', join(parent, 'site/leak'))
  const { content, warnings } = await load(join(parent, 'site'))
  assert.equal(answerTo(content, '/leak').status, 404)
  assert.match(warnings.join(), /^\/leak: .*leaves the folder/)
})

test('the root may itself be a link', async t => {
  const parent = makeTree(t, { 'release-1/index.html': 'one' })
  symlinkSync('release-1', join(parent, 'current'))
  const { content } = await load(join(parent, 'current'))
  assert.equal(answerTo(content, '/').body.toString(), 'one')
})

test('what is neither file nor folder is skipped', async t => {
  const root = makeTree(t, { 'a.txt': 'a' })
  const server = createServer().listen(join(root, 'socket'))
  await new Promise(resolve => server.once('listening', resolve))
  const { content, warnings } = await load(root)
  await new Promise(resolve => server.close(resolve))
  assert.equal(answerTo(content, '/socket').status, 404)
  assert.equal(answerTo(content, '/a.txt').status, 200)
  assert.match(warnings.join(), /^\/socket: neither a file nor a folder/)
})

test('names with spaces, UTF-8 and odd characters are found by their decoded path', async t => {
  const names = ['ä ö.txt', '日本語.html', '😀', 'a%41', 'question?', '#hash', 'a+b&c=d']
  const { content } = await load(makeTree(t, Object.fromEntries(names.map(n => [n, n]))))
  for (const name of names) assert.equal(answerTo(content, `/${name}`).body.toString(), name)
  assert.equal(answerTo(content, '/aA').status, 404)
})

test('names that no request can name are left out with a warning on one line', async t => {
  const root = makeTree(t, { 'a\\b': 'x', 'new\nline\\': 'x' })
  writeFileSync(Buffer.concat([Buffer.from(`${root}/latin`), Buffer.from([0xe9])]), 'x')
  const { content, warnings } = await load(root)
  assert.equal(warnings.length, 3)
  for (const line of warnings) assert.match(line, /^\/.*: no request can name it/)
  assert.equal(find(content, '/a\\b'), NO_RESOURCE)
})

test('an empty file has a whole answer', async t => {
  const { content } = await load(makeTree(t, { 'empty.txt': '' }))
  const answer = answerTo(content, '/empty.txt')
  assert.match(answer.head, /\r\nContent-Length: 0\r\n/)
  assert.equal(answer.body.length, 0)
  assert.equal(answer.status, 200)
})

test('equal content has equal entity tags, other content others', async t => {
  const files = { 'a.txt': 'same', 'b.html': 'same', 'c.txt': 'Same', 'd.txt': '' }
  const { content } = await load(makeTree(t, files))
  const [a, b, c, d] = ['/a.txt', '/b.html', '/c.txt', '/d.txt'].map(path =>
    etagOf(answerTo(content, path).head),
  )
  assert.equal(a, b)
  assert.equal(new Set([a, c, d]).size, 3)
})

test('a redirect and a ready answer have no entity tag', async t => {
  const { content } = await load(makeTree(t, { 'b/index.html': 'b' }))
  assert.equal(storedEtag(content, variantOf(content, '/b')), '')
  assert.equal(content.lastModifiedOf(variantOf(content, '/b')), 0)
})

test('a file that cannot be read is a 403 and a warning, one that is gone a 404; the rest is served', async t => {
  const root = makeTree(t, { 'a.txt': 'a', 'index.html': 'secret', 'gone.txt': 'g' })
  const fs = interfering(file => {
    if (file.endsWith('index.html')) throw errorOf('EACCES')
    if (file.endsWith('gone.txt')) throw errorOf('ENOENT')
  })
  const { content, warnings } = await load(root, {}, { fs })
  assert.equal(answerTo(content, '/').status, 403)
  assert.equal(answerTo(content, '/index.html').status, 403)
  assert.equal(answerTo(content, '/gone.txt').status, 404)
  assert.equal(answerTo(content, '/a.txt').body.toString(), 'a')
  assert.equal(content.etagOff(variantOf(content, '/')), 0, 'never a 304')
  assert.deepEqual(warnings, ['/index.html: cannot be read (EACCES); answered 403'])
})

test('a tree that is removed while it is looked at is no warning for each of its files', async t => {
  const root = makeTree(t, { 'a.txt': 'a', 'b.txt': 'b', 'b.txt.gz': 'gz', 'd/c.txt': 'c' })
  const unless = <T>(isGone: RegExp, call: (path: string) => T) => {
    return (path: string): T => {
      if (isGone.test(path)) throw errorOf('ENOENT')
      return call(path)
    }
  }
  const stat = unless(/[ab]\.txt(\.gz)?$/, REAL_FS.stat)
  const readdir = unless(/\/d$/, REAL_FS.readdir)
  const { content, warnings } = await load(root, {}, { fs: { ...REAL_FS, stat, readdir } })
  for (const path of ['/a.txt', '/b.txt', '/d/c.txt']) {
    assert.equal(answerTo(content, path).status, 404)
  }
  assert.deepEqual(warnings, [])
})

test('a file and a folder that cannot even be looked at are warnings', async t => {
  const root = makeTree(t, { 'a.txt': 'a', 'b.txt': 'b', 'locked/c.txt': 'c' })
  const unless = <T>(name: string, call: (path: string) => T) => {
    return (path: string): T => {
      if (path.endsWith(name)) throw errorOf('EACCES')
      return call(path)
    }
  }
  const stat = unless('b.txt', REAL_FS.stat)
  const readdir = unless('locked', REAL_FS.readdir)
  const { content, warnings } = await load(root, {}, { fs: { ...REAL_FS, stat, readdir } })
  assert.equal(answerTo(content, '/a.txt').status, 200)
  assert.equal(answerTo(content, '/b.txt').status, 403)
  assert.equal(answerTo(content, '/locked/c.txt').status, 404)
  assert.equal(warnings.length, 2)
})

test('a file that changes its size before it is read is served as it is now', async t => {
  const root = makeTree(t, { 'grows.txt': 'a', 'shrinks.txt': 'long before', 'same.txt': 'same' })
  const now: Record<string, string> = { 'grows.txt': 'b'.repeat(5000), 'shrinks.txt': '' }
  const touched = new Set<string>()
  const fs = interfering(file => {
    const name = file.slice(root.length + 1)
    if (now[name] === undefined || touched.has(name)) return
    touched.add(name)
    writeFileSync(file, now[name])
  })
  const { content, warnings } = await load(root, {}, { fs })
  for (const [name, body] of Object.entries({ ...now, 'same.txt': 'same' })) {
    const answer = answerTo(content, `/${name}`)
    assert.equal(answer.body.toString(), body)
    assert.match(answer.head, new RegExp(`\r\nContent-Length: ${body.length}\r\n`))
    const sha = createHash('sha256').update(body).digest('base64url').slice(0, 22)
    assert.equal(etagOf(answer.head), `"${sha}"`)
    assert.equal(storedEtag(content, variantOf(content, `/${name}`)), sha)
    assert.equal(etagOf(notModifiedTo(content, `/${name}`).head), `"${sha}"`)
  }
  assert.deepEqual(warnings, [])
})

test('a file that never holds still is a 503 and a warning', async t => {
  const root = makeTree(t, { 'log.txt': 'a', 'ok.txt': 'ok' })
  let writes = 0
  const fs = interfering(file => {
    if (file.endsWith('log.txt')) writeFileSync(file, 'x'.repeat(++writes * 10))
  })
  const { content, warnings } = await load(root, {}, { fs })
  assert.equal(answerTo(content, '/log.txt').status, 503)
  assert.equal(answerTo(content, '/ok.txt').body.toString(), 'ok')
  assert.match(warnings.join(), /^\/log.txt: changes faster /)
})

test('what does not fit into memory stays on disk: the largest files, with a tag of their own', async t => {
  const sizes = { 'a.bin': 10, 'b.bin': 500_000, 'c.bin': 100_000, 'd.bin': 600_000 }
  const files = Object.entries(sizes).map(([name, len]) => [name, new Uint8Array(len)])
  const { content } = await load(
    makeTree(t, Object.fromEntries(files)),
    {},
    { memoryBytes: 1 << 20 },
  )
  const images = Object.keys(sizes).map(name => content.imageOf(variantOf(content, `/${name}`)))
  assert.deepEqual(
    images.map(i => content.images[i + image.PAGED]),
    [0, 0, 0, 1],
  )
  assert.deepEqual(
    images.map(i => image.bodyLen(content.images, i)),
    Object.values(sizes),
  )
  const { head, body } = answerTo(content, '/d.bin')
  assert.match(head, /\r\nContent-Length: 600000\r\n/)
  assert.equal(body.length, 0)
  assert.notEqual(etagOf(head), etagOf(answerTo(content, '/c.bin').head))
  assert.equal(etagOf(head), etagOf(notModifiedTo(content, '/d.bin').head))
})

test('a file larger than any memory is served too', async t => {
  const root = makeTree(t, { 'big.bin': '' })
  await fsPromises.truncate(join(root, 'big.bin'), 2 ** 32 + 7) // sparse: takes no disk
  const { content } = await load(root)
  const big = content.imageOf(variantOf(content, '/big.bin'))
  assert.equal(image.bodyLen(content.images, big), 2 ** 32 + 7)
  assert.match(answerTo(content, '/big.bin').head, /\r\nContent-Length: 4294967303\r\n/)
})

test('more than fits even so is one clear error that names the flag and a value that is enough', async t => {
  const names = Array.from({ length: 4000 }, (_, i) => [`${i}.txt`, ''])
  const root = makeTree(t, Object.fromEntries(names))
  const warnings: string[] = []
  const loadIn = (memoryBytes: number): Promise<unknown> =>
    loadContent([plainSite(root)], { memoryBytes, onWarning: line => warnings.push(line) })
  const failure = (await loadIn(1 << 20).catch(e => e)) as Error
  const [, enough] = /^cannot serve .* even if .*the limit is 1MiB.*--memory (\d)MiB$/.exec(
    failure.message,
  )!
  assert.ok(await loadIn(Number(enough) * 2 ** 20))
  assert.deepEqual(warnings, [])
})

test('a root that is missing, or a file, is one clear error', async t => {
  const root = makeTree(t, { file: 'x' })
  const options = { memoryBytes: 1 << 20, onWarning: (): void => {} }
  await assert.rejects(
    loadContent([plainSite(join(root, 'none'))], options),
    /there is no such folder/,
  )
  await assert.rejects(loadContent([plainSite(join(root, 'file'))], options), /it is not a folder/)
})

test('10,000 paths are all found, and their neighbours are not', async t => {
  const root = makeTree(t, {})
  const names: string[] = []
  for (let d = 0; d < 100; d++) {
    mkdirSync(join(root, `${d}`))
    for (let f = 0; f < 100; f++) names.push(`${d}/${f}`)
  }
  await Promise.all(names.map(name => fsPromises.writeFile(join(root, name), name)))
  const progress: number[][] = []
  const onProgress = (...args: number[]): void => void progress.push(args)
  const { content } = await load(root, {}, { onProgress })
  for (const name of names) {
    assert.equal(answerTo(content, `/${name}`).body.toString(), name)
    assert.equal(find(content, `/${name}/`), NO_RESOURCE)
    assert.equal(find(content, `/${name}x`), NO_RESOURCE)
  }
  assert.equal(find(content, ''), NO_RESOURCE)
  const [files, allFiles, bytes, allBytes] = progress.at(-1)!
  assert.deepEqual([files, bytes], [allFiles, allBytes])
  assert.equal(files, names.length)
})

test('types carry a charset where text is sent', () => {
  const types = {
    'a.html': 'text/html; charset=utf-8',
    'a.css': 'text/css; charset=utf-8',
    'a.js': 'text/javascript; charset=utf-8',
    'a.mjs': 'text/javascript; charset=utf-8',
    'a.json': 'application/json; charset=utf-8',
    'a.webmanifest': 'application/manifest+json; charset=utf-8',
    'a.svg': 'image/svg+xml; charset=utf-8',
    'a.xml': 'text/xml; charset=utf-8',
    'a.TXT': 'text/plain; charset=utf-8',
    'a.png': 'image/png',
    'favicon.ico': 'image/x-icon',
    'a.woff2': 'font/woff2',
    'a.wasm': 'application/wasm',
    'a.unknown': 'application/octet-stream',
    noextension: 'application/octet-stream',
  }
  for (const [name, type] of Object.entries(types)) assert.equal(contentType(name), type, name)
})
