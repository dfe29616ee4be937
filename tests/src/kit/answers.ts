/**
 * What every client may expect of a served tree, whatever carries the bytes: the same tests run
 * over TAP and over the kernel's sockets, since both mount the same HTTP machine (RFC 9110).
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Answer, Request } from './httpClient.ts'
import { HIDDEN_PATH, sha256, type TreeFile } from './tree.ts'

/** Sends requests to the server under test. */
export type Ask = (...requests: Request[]) => Promise<readonly Answer[]>

/** Declares the tests; `file` yields a file of the tree that is not empty, once there is a tree. */
export function itAnswersLikeAWebServer(ask: Ask, file: () => TreeFile): void {
  it('answers HEAD like GET, without the body', async () => {
    const { path, bytes } = file()
    const [get, head] = await ask({ path }, { path, method: 'HEAD' })
    assert.equal(head.error, '')
    assert.equal(head.status, 200)
    assert.equal(head.bytes, 0)
    assert.equal(head.headers['content-length'], String(bytes))
    for (const name of ['content-type', 'etag']) assert.equal(head.headers[name], get.headers[name])
  })

  it('answers 304 to the entity tag it gave, 200 to another', async () => {
    const { path, sha256 } = file()
    const [first] = await ask({ path })
    const { etag } = first.headers
    assert.match(etag, /^"[^"]+"$/, 'a strong entity tag')
    const [same, weak, listed, other] = await ask(
      { path, headers: { 'if-none-match': etag } },
      { path, headers: { 'if-none-match': `W/${etag}` } },
      { path, headers: { 'if-none-match': `"x", ${etag}` } },
      { path, headers: { 'if-none-match': '"x"' } },
    )
    for (const answer of [same, weak, listed]) {
      assert.equal(answer.status, 304)
      assert.equal(answer.bytes, 0)
      assert.equal(answer.headers['etag'], etag)
    }
    assert.equal(other.status, 200)
    assert.equal(other.sha256, sha256)
  })

  it('answers 404 to what is not there and to what is hidden', async () => {
    for (const path of ['/no/such/file', HIDDEN_PATH, '/a%20folder/', '/.git/config']) {
      const [answer] = await ask({ path })
      assert.equal(answer.status, 404, `${path} ${answer.error}`)
    }
  })

  it('never leaves the folder', async () => {
    const outside = ['/../', '/%2e%2e/', '/images/../../', '/..%2f', '/..\\', '//', '/./%2E./']
    for (const start of outside) {
      const [answer] = await ask({ path: `${start}etc/passwd` })
      assert.ok([400, 404].includes(answer.status), `${start} ${answer.status} ${answer.error}`)
    }
  })

  it('answers 405 with the methods it knows', async () => {
    const { path } = file()
    const [answer] = await ask({ path, method: 'DELETE' })
    assert.equal(answer.status, 405)
    const allow = answer.headers['allow']?.split(/, */) ?? []
    assert.ok(allow.includes('GET') && allow.includes('HEAD'), `Allow: ${allow}`)
  })

  it('dates its answers and names their type', async () => {
    const [answer] = await ask({ path: file().path })
    assert.match(answer.headers['date'], /^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/)
    assert.ok(Math.abs(Date.parse(answer.headers['date']) - Date.now()) < 60_000, 'about now')
    assert.match(answer.headers['content-type'], /^\w+\/[\w.+-]+/)
  })

  it('ignores the query when it looks for the file', async () => {
    const { path, sha256 } = file()
    const [answer] = await ask({ path: `${path}?a=1&b=%2F` })
    assert.equal(answer.status, 200)
    assert.equal(answer.sha256, sha256)
  })

  it('answers an empty 404 body to HEAD', async () => {
    const [answer] = await ask({ path: '/no/such/file', method: 'HEAD' })
    assert.equal(answer.status, 404)
    assert.equal(answer.sha256, sha256(new Uint8Array()))
  })
}
