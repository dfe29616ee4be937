/**
 * Captures: golden bytes for a tiny one, tshark's opinion of a real one, and when they are written.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { completeChecksum } from '../src/checksum.ts'
import {
  memoryLink,
  OFFLOAD_NONE,
  offload,
  PcapDevice,
  Region,
  RX_CSUM_PARTIAL,
  VirtualClock,
} from '../src/index.ts'
import { DelegateDevice } from '../src/wrap/delegate.ts'
import { GatherPort } from './gatherPort.ts'
import { checksumsHold, tcpFrame } from './tcpFrame.ts'

const dir = mkdtempSync(join(tmpdir(), 'libnmio-'))
after(() => rmSync(dir, { recursive: true }))

const NOW_US = Date.UTC(2024, 0, 2, 3, 4, 5) * 1000

function setUp(name: string, path: string = join(dir, name)) {
  const region = new Region(1 << 22)
  const content = new Region(1 << 17)
  const [a, b] = memoryLink({ region, mtu: 65535 })
  const clock = new VirtualClock()
  clock.advance(NOW_US)
  const port = new GatherPort(a, content)
  const errors: string[] = []
  const onError = (why: string): void => void errors.push(why)
  const device = new PcapDevice(port, { path, clock: clock.read, content, onError })
  return { region, content, b, clock, port, device, path, errors }
}

/** The blocks of a little-endian pcapng file, by their lengths, which must agree at both ends. */
function blocks(file: Buffer): Buffer[] {
  const found: Buffer[] = []
  for (let at = 0; at < file.length; ) {
    const len = file.readUInt32LE(at + 4)
    assert.equal(file.readUInt32LE(at + len - 4), len)
    found.push(file.subarray(at, at + len))
    at += len
  }
  return found
}

const packetData = (block: Buffer): Buffer => block.subarray(28, 28 + block.readUInt32LE(20))

test('a tiny capture is these bytes', () => {
  const { region, b, clock, device, path } = setUp('golden.pcapng')
  const off = region.reserve(4096)
  region.bytes.set([...Array(17).keys()], off)
  clock.advance(5)
  device.push(off, 17, OFFLOAD_NONE)
  b.push(off, 16, OFFLOAD_NONE)
  b.flush()
  clock.advance(1.75)
  assert.equal(device.rx(), 1)
  device.close()
  const golden = `
    0a0d0d0a 30000000 4d3c2b1a 0100 0000 ffffffffffffffff
      0400 0900 73616e6473746f726d 000000  0000 0000  30000000
    01000000 38000000 0100 0000 00000400
      0200 0800 6d656d6f72793a61  0600 0600 02000000000a 0000  0900 0100 06 000000
      0000 0000  38000000
    06000000 40000000 00000000 ed0d0600 45d34dc0 11000000 11000000
      000102030405060708090a0b0c0d0e0f10 000000  0200 0400 02000000  0000 0000  40000000
    06000000 3c000000 00000000 ed0d0600 46d34dc0 10000000 10000000
      000102030405060708090a0b0c0d0e0f  0200 0400 01000000  0000 0000  3c000000`
  assert.equal(readFileSync(path).toString('hex'), golden.replace(/\s/g, ''))
})

test('gathered frames are joined, and checksums left to hardware are finished in the file', () => {
  const { region, content, b, port, device, path } = setUp('checksums.pcapng')
  const off = region.reserve(1 << 17)
  const cases: [4 | 6, number][] = [
    [4, 0],
    [4, 1],
    [6, 1000],
    [4, 22_001],
    [6, 60_000],
  ]
  port.flags = RX_CSUM_PARTIAL
  for (const [version, payloadLen] of cases) {
    const frame = tcpFrame(version, payloadLen, true)
    const headLen = frame.length - payloadLen
    const gso = payloadLen > 1460 ? 1400 : 0
    const before = frame.slice()
    region.bytes.set(frame, off)
    if (frame.length <= 1514) {
      device.push(off, frame.length, offload(version, headLen - 20, gso))
      device.flush()
    }
    b.push(off, frame.length, OFFLOAD_NONE)
    b.flush()
    assert.equal(device.rx(), 1)
    assert.deepEqual(region.bytes.slice(off, off + frame.length), before, 'the frame itself')
    if (frame.length > 1514) continue
    content.bytes.set(frame.subarray(headLen), 8)
    device.gather(off, headLen, 8, payloadLen, offload(version, headLen - 20, gso))
    device.flush()
  }
  device.close()
  const packets = blocks(readFileSync(path)).slice(2).map(packetData)
  const sizes = cases.flatMap(([version, payloadLen]) => {
    const want = tcpFrame(version, payloadLen)
    return want.length <= 1514 ? [want, want, want] : [want]
  })
  assert.deepEqual(
    packets.map(p => Uint8Array.from(p)),
    sizes,
  )
  assert.ok(sizes.every(checksumsHold))
})

test('what is no whole TCP or UDP segment is recorded as it is', () => {
  const frame = tcpFrame(4, 8, true)
  const edits: ((f: Uint8Array) => Uint8Array)[] = [
    f => f.subarray(0, 33),
    f => f.subarray(0, 53), // TCP header cut short
    f => f.with(20, 0x20), // more fragments
    f => f.with(21, 1), // a later fragment
    f => f.with(23, 1), // ICMP
    f => f.with(14, 0x4f), // options reach behind the end
    f => f.with(12, 0x88),
    f => tcpFrame(6, 8, true).with(20, 0).subarray(0, f.length), // hop-by-hop options
  ]
  for (const [i, edit] of edits.entries()) {
    const edited = edit(frame.slice())
    const copy = edited.slice()
    completeChecksum(new DataView(copy.buffer), 0, copy.length)
    assert.deepEqual(copy, Uint8Array.from(edited), `edit ${i}`)
  }
})

test('a UDP checksum that comes out as zero is sent as ones', () => {
  const frame = tcpFrame(4, 0).subarray(0, 42).with(23, 17)
  frame.set([0x12, 0x34, 0, 0, 0, 8, 0xed, 0xc3], 34) // all sums to ffff
  completeChecksum(new DataView(frame.buffer), 0, 42)
  assert.deepEqual([...frame.subarray(40, 42)], [0xff, 0xff])
})

test('the file grows at least once a second while there is traffic, and in large pieces', () => {
  const { region, clock, device, path } = setUp('grows.pcapng')
  const off = region.reserve(2048)
  const size = (): number => statSync(path).size
  const start = size()
  assert.equal(blocks(readFileSync(path)).length, 2, 'it opens from the first moment')
  device.push(off, 1000, OFFLOAD_NONE)
  clock.advance(999_999)
  device.wait(0)
  assert.equal(size(), start)
  clock.advance(1)
  device.wait(0)
  assert.equal(size(), start + 1044)
  clock.advance(10e6)
  device.push(off, 1000, OFFLOAD_NONE)
  device.push(off, 1000, OFFLOAD_NONE)
  clock.advance(1e6)
  device.push(off, 1000, OFFLOAD_NONE)
  assert.equal(size(), start + 3 * 1044)
  device.close()
  device.close()
  assert.equal(size(), start + 4 * 1044)
})

test('a full buffer is written at once, and no frame is lost or cut', () => {
  const { region, b, device, path } = setUp('large.pcapng')
  const off = region.reserve(2048)
  region.bytes.fill(0xff, off, off + 2048)
  for (let i = 0; i < 3000; i++) {
    region.view.setUint32(off, i)
    device.push(off, 1001 + (i % 7), OFFLOAD_NONE)
    device.flush()
    b.rx()
    device.reclaim()
  }
  assert.ok(statSync(path).size > 2 * ((1 << 20) - 1100), 'two buffers are written')
  device.close()
  const packetBlocks = blocks(readFileSync(path)).slice(2)
  const packets = packetBlocks.map(packetData)
  for (const [i, block] of packetBlocks.entries()) {
    const padding = block.subarray(28 + packets[i].length, block.length - 16)
    assert.ok(padding.every(byte => byte === 0))
  }
  assert.deepEqual(
    packets.map(p => [p.readUInt32BE(0), p.length]),
    Array.from({ length: 3000 }, (_, i) => [i, 1001 + (i % 7)]),
  )
})

test('waiting ends in time to write what is buffered', () => {
  const waits: number[] = []
  class Sleeper extends DelegateDevice {
    override wait(timeoutUs: number): void {
      waits.push(timeoutUs)
    }
  }
  const region = new Region(1 << 16)
  const [a] = memoryLink({ region })
  const clock = new VirtualClock()
  const path = join(dir, 'waits.pcapng')
  const device = new PcapDevice(new Sleeper(a), { path, clock: clock.read })
  device.wait(-1)
  device.push(0, 60, OFFLOAD_NONE)
  clock.advance(400_000)
  device.wait(-1)
  device.wait(500)
  device.wait(5e6)
  assert.deepEqual(waits, [-1, 600_000, 500, 600_000])
  device.close()
})

test('a disk that is full ends the capture, not the device', () => {
  const { region, b, device, errors } = setUp('', '/dev/full')
  const off = region.reserve(2048)
  device.push(off, 60, OFFLOAD_NONE)
  device.flush()
  assert.equal(b.rx(), 1)
  device.close()
  assert.equal(errors.length, 1)
  assert.match(errors[0], /ENOSPC/)
})

test('a frame beyond the snap length is kept in part, its length in full', () => {
  const region = new Region(1 << 20)
  const [a] = memoryLink({ region, mtu: 500_000 })
  const path = join(dir, 'snap.pcapng')
  const device = new PcapDevice(a, { path, clock: () => NOW_US })
  for (let i = 0; i < 735; i++) device.push(0, 1000, OFFLOAD_NONE)
  device.push(0, 300_000, OFFLOAD_NONE) // of what is left in the buffer it fills nearly all
  device.close()
  const block = blocks(readFileSync(path))[2 + 735]
  assert.equal(block.readUInt32LE(20), 262_144)
  assert.equal(block.readUInt32LE(24), 300_000)
})

test('after close the file is left alone, whatever the inner device still takes', () => {
  class Deaf extends DelegateDevice {
    override push(): void {}
  }
  const path = join(dir, 'closed.pcapng')
  const [a] = memoryLink({ region: new Region(1 << 16) })
  const onError = (why: string): void => assert.fail(why)
  const device = new PcapDevice(new Deaf(a), { path, clock: () => NOW_US, onError })
  device.close()
  for (let i = 0; i < 3000; i++) device.push(0, 1000, OFFLOAD_NONE)
})

test('a file that cannot be made is an error at set-up', () => {
  assert.throws(() => setUp('', join(dir, 'no', 'such')), { code: 'ENOENT' })
})

test('tshark reads a capture without complaint', t => {
  if (spawnSync('tshark', ['-v']).error) {
    assert.equal(process.env['CI'], undefined, 'CI must have tshark')
    t.skip('tshark is not installed (Debian: apt install tshark)')
    return
  }
  const { region, content, b, clock, device, path } = setUp('tshark.pcapng')
  const off = region.reserve(1 << 16)
  for (const version of [4, 6] as const) {
    const frame = tcpFrame(version, 1200, true)
    const headLen = frame.length - 1200
    region.bytes.set(frame.subarray(0, headLen), off)
    content.bytes.set(frame.subarray(headLen), 64)
    clock.advance(1_500_000)
    device.gather(off, headLen, 64, 1200, offload(version, headLen - 20, 0))
    region.bytes.set(tcpFrame(version, 3), off + 2048)
    b.push(off + 2048, headLen + 3, OFFLOAD_NONE)
    b.flush()
    assert.equal(device.rx(), 1)
  }
  device.close()
  const fields = ['frame.time_epoch', 'frame.interface_name', 'frame.packet_flags_direction']
  const args = [...fields, 'frame.len', 'tcp.len', 'tcp.checksum.status'].flatMap(f => ['-e', f])
  const checks = ['-o', 'tcp.check_checksum:TRUE', '-o', 'ip.check_checksum:TRUE']
  const run = spawnSync('tshark', [
    '-r',
    path,
    ...checks,
    '-T',
    'fields',
    '-E',
    'separator=,',
    ...args,
  ])
  assert.equal(run.status, 0, String(run.stderr))
  assert.doesNotMatch(String(run.stderr), /cut short|damaged|corrupt|isn't a capture/i)
  const outbound = '0x00000002'
  const inbound = '0x00000001'
  const time = (us: number): string => ((NOW_US + us) / 1e6).toFixed(6).padEnd(20, '0')
  assert.deepEqual(String(run.stdout).trim().split('\n'), [
    `${time(1.5e6)},memory:a,${outbound},1254,1200,1`,
    `${time(1.5e6)},memory:a,${inbound},57,3,1`,
    `${time(3e6)},memory:a,${outbound},1274,1200,1`,
    `${time(3e6)},memory:a,${inbound},77,3,1`,
  ])
})
