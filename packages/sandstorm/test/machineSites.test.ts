/** Which site a request is for: Host, or what the target itself says (RFC 9112 §3.2.2). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as image from '../src/content/image.ts'
import { HttpMachine } from '../src/http/machine.ts'
import { plainSite, type Site } from '../src/site/site.ts'
import { loadSites, makeTree } from './contentTree.ts'

test('a request is for the site of its Host, or of its absolute-form target', async t => {
  const site = (name: string, hosts: string[]): Site => ({
    ...plainSite(makeTree(t, { 'a.txt': name, [`${name}.txt`]: name })),

    hosts,
  })
  const { content } = await loadSites([
    site('first', ['first.example']),
    site('second', ['second.example', '*.second.example']),
  ])
  const machine = new HttpMachine(content)
  const asked = (target: string, host: string): [status: number, body: string] => {
    const bytes = Buffer.from(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    assert.equal(machine.next(bytes, 0, bytes.length, 0), bytes.length)
    const { images, region } = content
    const off = images[machine.image + image.IMAGE_OFF] + images[machine.image + image.HEAD_LEN]
    const body = Buffer.from(region.bytes.slice(off, off + images[machine.image + image.BODY_LEN]))
    return [machine.status, body.toString().slice(0, 6)]
  }
  for (const [target, host, body] of [
    ['/a.txt', 'first.example', 'first'],
    ['/a.txt', 'second.example', 'second'],
    ['/a.txt', 'SECOND.example.:8080', 'second'],
    ['/a.txt', 'deep.www.second.example', 'second'],
    ['/a.txt', 'third.example', 'first'],
    ['/a.txt', 'notsecond.example', 'first'],
    ['http://second.example/a.txt', 'first.example', 'second'],
    ['http://first.example:80/a.txt', 'second.example', 'first'],
  ]) {
    assert.deepEqual(asked(target, host), [200, body], `${target} ${host}`)
  }
  assert.equal(asked('/second.txt', 'first.example')[0], 404, 'a site has its own paths')
  assert.equal(asked('/second.txt', 'second.example')[0], 200)
})
