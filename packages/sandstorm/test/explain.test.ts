import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Region } from '@sandstorm/libnmio'
import { explainFile } from '../src/explain/explain.ts'
import { PATCHED_BYTES, writeExample } from '../src/explain/frame.ts'
import { LADDER } from '../src/packetize/layouts.ts'
import { body } from './kit/site.ts'
import { World } from './kit/world.ts'
import { ACK, naiveSum, parseFrame } from './reference/frame.ts'

const dir = mkdtempSync(join(tmpdir(), 'explain-'))
after(() => rmSync(dir, { recursive: true }))

function file(name: string, bytes: Uint8Array): string {
  const path = join(dir, name)
  writeFileSync(path, bytes)
  return path
}

/** The hex dump of the example, as bytes. */
const dumped = (text: string): Uint8Array =>
  Buffer.from(
    [...text.matchAll(/^ +[0-9a-f]{4} {2}((?:[0-9a-f]{2} ?)+)$/gm)]
      .map(line => line[1])
      .join(' ')
      .replaceAll(' ', ''),
    'hex',
  )

test('the frames explained are the frames sent', async () => {
  const bytes = body(22_000)
  const text = await explainFile(file('picture.png', bytes))
  const world = new World({ '/picture.png': bytes })
  const peer = world.connect()
  peer.send('GET /picture.png HTTP/1.1\r\nHost: a\r\n\r\n')
  world.settle()
  assert.match(
    text,
    new RegExp(
      `-> +1,428 +${peer.segments.length} +${peer.stream.length.toLocaleString('en-US')} `,
    ),
  )
  const [from, len] = peer.segments[1]
  const range = [from, from + len - 1].map(n => n.toLocaleString('en-US')).join('–')
  assert.match(text, new RegExp(`1 +1,482 +${range} +1,428 +0x`))
  for (const step of LADDER) assert.match(text, new RegExp(` ${step.toLocaleString('en-US')} `))
  assert.match(text, /Content-Type: image\/png\n/)
  assert.match(text, /Date: ░{29}\n/)
  assert.match(text, /Connection: ░{10}\n/)
  assert.equal(dumped(text).length, 54)
})

test('the sums explained are those of the payload', async () => {
  const bytes = body(6000)
  const text = await explainFile(file('a.bin', bytes))
  const start = 6000 - (916 + 3 * 1428)
  const last = bytes.subarray(6000 - start)
  const sum = naiveSum(last).toString(16).padStart(4, '0')
  assert.match(text, new RegExp(` 4 .* ${start} +0x${sum}`))
})

test('the example is a sound frame', () => {
  const region = new Region(4096)
  const payload = body(999)
  region.bytes.set(payload, 1000)
  const off = writeExample(region, 1000, payload.length, naiveSum(payload), false)
  const fields = parseFrame(region.bytes.slice(off, 1000 + payload.length))
  assert.deepEqual(fields.payload, payload)
  assert.equal(fields.flags, ACK)
})

test('as many header bytes are marked as are said to be rewritten', async () => {
  const text = await explainFile(file('m.txt', body(10)))
  assert.equal([...text.matchAll(/\^\^(?=[ \n])(?! *\))/g)].length, PATCHED_BYTES)
})

test('an empty file is one frame with a head', async () => {
  const text = await explainFile(file('empty.css', new Uint8Array(0)))
  assert.match(text, /0 bytes, text\/css/)
  assert.match(text, /1 frame of 2,048/)
  assert.match(text, / {2}head$/m)
})

test('a long table is cut in the middle', async () => {
  const text = await explainFile(file('long.bin', body(3_000_000)))
  assert.ok(text.split('\n').length < 70)
  assert.match(text, /…/)
})

test('another MTU and more replicas change what is made', async () => {
  const path = file('jumbo.bin', body(20_000))
  assert.match(await explainFile(path, { mtu: 9000 }), /-> +8,928 +3 /)
  assert.match(await explainFile(path, { replicas: 4 }), /4 copies of each/)
})

test('what cannot be explained is refused in one line', async () => {
  await assert.rejects(
    explainFile(join(dir, 'none')),
    /^Error: cannot explain .*none: no such file$/,
  )
  await assert.rejects(explainFile(dir), /: not a file$/)
})
