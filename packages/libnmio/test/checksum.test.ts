/** Which checksums were left to hardware, and completing them (src/checksum.ts). */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { completeChecksum, isChecksumPartial } from '../src/checksum.ts'
import { checksumsHold, tcpFrame } from './tcpFrame.ts'
import { withTag } from './vlanTag.ts'

const viewOf = (frame: Uint8Array): DataView => new DataView(frame.buffer)

for (const ipVersion of [4, 6] as const) {
  describe(`IPv${ipVersion}`, () => {
    test('a partial checksum is told from a complete one, at every length', () => {
      for (let len = 0; len < 300; len++) {
        const partial = tcpFrame(ipVersion, len, true)
        const complete = tcpFrame(ipVersion, len)
        assert.equal(isChecksumPartial(viewOf(partial), 0, partial.length), true, `${len}`)
        assert.equal(isChecksumPartial(viewOf(complete), 0, complete.length), false, `${len}`)
      }
    })
    test('padding behind the packet does not count', () => {
      const frame = new Uint8Array(80)
      frame.set(tcpFrame(ipVersion, 1, true))
      assert.equal(isChecksumPartial(viewOf(frame), 0, frame.length), true)
    })
    test('a partial checksum is completed as the sender would have written it', () => {
      const frame = tcpFrame(ipVersion, 77, true)
      completeChecksum(viewOf(frame), 0, frame.length)
      assert.ok(checksumsHold(frame))
      assert.deepEqual(frame, tcpFrame(ipVersion, 77))
    })
    test('a complete checksum that looks like a partial one stays as it is when completed', () => {
      const frame = lookalike(ipVersion)
      const before = frame.slice()
      assert.ok(checksumsHold(frame))
      completeChecksum(viewOf(frame), 0, frame.length)
      assert.deepEqual(frame, before)
    })
    test('a VLAN tag is no obstacle', () => {
      const [partial, complete] = [true, false].map(isPartial =>
        withTag(tcpFrame(ipVersion, 77, isPartial), 10),
      )
      assert.equal(isChecksumPartial(viewOf(partial), 0, partial.length), true)
      assert.equal(isChecksumPartial(viewOf(complete), 0, complete.length), false)
      completeChecksum(viewOf(partial), 0, partial.length)
      assert.deepEqual(partial, complete)
    })
    test('what was spoilt is neither', () => {
      const frame = tcpFrame(ipVersion, 10, true)
      viewOf(frame).setUint16(frame.length - 10 - 4, 0x1234)
      assert.equal(isChecksumPartial(viewOf(frame), 0, frame.length), false)
    })
  })
}

/** A valid frame whose checksum happens to be the sum of its pseudo-header: once in 65536. */
function lookalike(ipVersion: 4 | 6): Uint8Array {
  const frame = tcpFrame(ipVersion, 2, true)
  const want = viewOf(frame).getUint16(frame.length - 6)
  for (let word = 0; word < 65536; word++) {
    viewOf(frame).setUint16(frame.length - 2, word)
    if (checksumsHold(frame)) {
      assert.equal(viewOf(frame).getUint16(frame.length - 6), want)
      return frame
    }
  }
  throw new Error('no word makes it valid')
}

test('no bytes make it throw, or read beyond the frame', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 90 }),
      fc.constantFrom(0x0800, 0x86dd),
      fc.boolean(),
      (bytes, type, isTagged) => {
        const at = isTagged ? 16 : 12
        if (isTagged && bytes.length >= 14) viewOf(bytes).setUint16(12, 0x8100)
        if (bytes.length >= at + 2) viewOf(bytes).setUint16(at, type)
        isChecksumPartial(viewOf(bytes), 0, bytes.length)
        completeChecksum(viewOf(bytes), 0, bytes.length)
      },
    ),
  )
})
