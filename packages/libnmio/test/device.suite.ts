/**
 * The device contract (src/device.ts) as tests, the same for every back end: call `deviceSuite`
 * with a function that makes a device and what sits at the other end of its wire.
 *
 * All frames are of EtherType 0x88b5 (IEEE Std 802, local experiments) and made by `testFrame`, so
 * a kernel at the other end does not answer them, and an adapter can tell them from its chatter.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  BATCH_MAX,
  type Device,
  FramePool,
  NO_FRAME,
  OFFLOAD_NONE,
  type Region,
} from '../src/index.ts'

/** The far end of the wire. */
export interface Peer {
  /** Sends a frame to the device; false if it cannot be taken now. */
  send(frame: Uint8Array): boolean
  /** Gives the previous batch back, takes the next one; returns how many frames it has. */
  receive(): number
  /** A copy of frame i of the batch, as its bytes are now. */
  frame(i: number): Uint8Array
}

export interface Pair {
  /** Its region has SUITE_REGION_BYTES unreserved. */
  readonly device: Device
  readonly peer: Peer
  /** The content region, for a device with caps.gather. */
  readonly content?: Region
  /** Bytes that a frame is longer on the wire, where it is counted; default 0. */
  readonly tagLen?: number
  /** The interface that it is on, if it is on one. */
  readonly link?: { set(isUp: boolean): void; remove(): void }
  /** Closes and removes everything, the device too if that is still open. */
  close(): void
}

export const ETHERTYPE_TEST = 0x88b5
const FRAMES = 512
/** What the suite reserves of a device's region, and devicePeer again as much; mtu 1500. */
export const SUITE_REGION_BYTES: number = (FRAMES << 11) + 4096
/** Turns without news after which a test stops waiting, and microseconds that each may sleep. */
const PATIENCE = 200
const TURN_US = 5000

/** Frame `seq` of a test: every byte follows from seq, so a frame that got mixed up shows. */
export function testFrame(seq: number, len: number): Uint8Array {
  const frame = new Uint8Array(len)
  const view = new DataView(frame.buffer)
  frame.set([0x02, 0, 0, 0, 0, 0x0c, 0x02, 0, 0, 0, 0, 0x0d])
  view.setUint16(12, ETHERTYPE_TEST)
  view.setUint32(14, seq)
  for (let i = 18; i < len; i++) frame[i] = (seq * 31 + i * 7) & 0xff
  return frame
}

/** The far end of a link in memory: another device of the same region. */
export function devicePeer(device: Device): Peer {
  const frames = new FramePool(device.region, FRAMES)
  const { bytes } = device.region
  return {
    send(frame) {
      const count = device.reclaim()
      for (let i = 0; i < count; i++) frames.complete(device.doneOff[i])
      const n = device.txSpace() > 0 ? frames.alloc() : NO_FRAME
      if (n === NO_FRAME) return false
      bytes.set(frame, frames.payloadOff(n))
      device.push(frames.payloadOff(n), frame.length, OFFLOAD_NONE)
      frames.sent(n)
      device.flush()
      return true
    },
    receive: () => device.rx(),
    frame: i => bytes.slice(device.rxOff[i], device.rxOff[i] + device.rxLen[i]),
  }
}

/** The near end: pushes test frames, and keeps book of which are whose. */
class Sender {
  readonly device: Device
  readonly frames: FramePool
  /** Offsets in the order of push, and in the order of completion. */
  readonly pushed: number[] = []
  readonly done: number[] = []

  constructor(device: Device) {
    this.device = device
    this.frames = new FramePool(device.region, FRAMES, Math.ceil(Math.log2(device.mtu + 256)))
  }

  canPush(): boolean {
    return this.frames.freeCount > 0 && this.device.txSpace() > 0
  }

  push(seq: number, len: number): void {
    const frame = this.frames.alloc()
    const off = this.frames.payloadOff(frame)
    this.device.region.bytes.set(testFrame(seq, len), off)
    this.device.push(off, len, OFFLOAD_NONE)
    this.frames.sent(frame)
    this.pushed.push(off)
  }

  /** Takes completions; `each` sees a frame that is ours again, before it is free. */
  reclaim(each: (off: number) => void = () => {}): void {
    const count = this.device.reclaim()
    for (let i = 0; i < count; i++) {
      const off = this.device.doneOff[i]
      each(off)
      this.done.push(off)
      this.frames.complete(off)
    }
  }
}

/** Runs `turn` until it has returned `count` in all; sleeps a little when it returns 0. */
function until(device: Device, count: number, turn: () => number): void {
  let got = 0
  for (let idle = 0; got < count && idle < PATIENCE; ) {
    const news = turn()
    got += news
    idle = news > 0 ? 0 : idle + 1
    if (news === 0) device.wait(TURN_US)
  }
  assert.equal(got, count, 'frames that came')
}

/** Sends frames 0 … count-1 of length len(seq) from the device; checks what the peer gets. */
function sendAndCheck(pair: Pair, sender: Sender, count: number, len: (seq: number) => number) {
  let sent = 0
  let next = 0
  until(pair.device, count, () => {
    while (sent < count && sender.canPush()) {
      sender.push(sent, len(sent))
      sent++
    }
    pair.device.flush()
    const n = pair.peer.receive()
    for (let i = 0; i < n; i++, next++) {
      assert.deepEqual(pair.peer.frame(i), testFrame(next, len(next)))
    }
    sender.reclaim()
    return n
  })
}

/** Takes completions until all that was pushed has come back. */
function drain(pair: Pair, sender: Sender): void {
  until(pair.device, sender.pushed.length - sender.done.length, () => {
    const before = sender.done.length
    pair.peer.receive()
    pair.device.flush()
    sender.reclaim()
    return sender.done.length - before
  })
}

function received(device: Device, i: number): Uint8Array {
  return device.region.bytes.slice(device.rxOff[i], device.rxOff[i] + device.rxLen[i])
}

type Case = (pair: Pair, sender: Sender) => void

const CASES: Record<string, Case> = {
  'frames arrive whole and in order, out': (pair, sender) => {
    sendAndCheck(pair, sender, 1000, seq => 60 + ((seq * 37) % 1400))
  },

  'frames arrive whole and in order, in': ({ device, peer }) => {
    const len = (seq: number): number => 60 + ((seq * 41) % 1400)
    let sent = 0
    let next = 0
    until(device, 1000, () => {
      while (sent < 1000 && peer.send(testFrame(sent, len(sent)))) sent++
      const n = device.rx()
      for (let i = 0; i < n; i++, next++) {
        assert.deepEqual(received(device, i), testFrame(next, len(next)))
      }
      return n
    })
  },

  'the shortest and the longest frames pass, both ways': (pair, sender) => {
    const lens = [60, 61, pair.device.mtu + 13, pair.device.mtu + 14]
    sendAndCheck(pair, sender, lens.length, seq => lens[seq])
    let next = 0
    for (const [seq, len] of lens.entries()) assert.ok(pair.peer.send(testFrame(seq, len)))
    until(pair.device, lens.length, () => {
      const n = pair.device.rx()
      for (let i = 0; i < n; i++, next++) {
        assert.deepEqual(received(pair.device, i), testFrame(next, lens[next]))
      }
      return n
    })
  },

  'a batch never exceeds BATCH_MAX, and nothing is lost behind it': ({ device, peer }) => {
    const count = 3 * BATCH_MAX
    for (let seq = 0; seq < count; seq++) assert.ok(peer.send(testFrame(seq, 100)))
    let next = 0
    until(device, count, () => {
      const n = device.rx()
      assert.ok(n <= BATCH_MAX, `a batch of ${n}`)
      for (let i = 0; i < n; i++) assert.deepEqual(received(device, i), testFrame(next++, 100))
      return n
    })
  },

  'a received frame stays as it is until the next rx': (pair, sender) => {
    const { device, peer } = pair
    for (let seq = 0; seq < 8; seq++) assert.ok(peer.send(testFrame(seq, 200)))
    let n = 0
    until(device, 1, () => {
      n = device.rx()
      return Math.min(n, 1)
    })
    for (let seq = 100; seq < 100 + 2 * BATCH_MAX; seq++) peer.send(testFrame(seq, 200))
    for (let seq = 0; seq < 16; seq++) sender.push(seq, 300)
    device.flush()
    sender.reclaim()
    device.wait(0)
    for (let i = 0; i < n; i++) assert.deepEqual(received(device, i), testFrame(i, 200))
  },

  'a frame is reported only when nobody reads it any more': ({ device, peer }, sender) => {
    const count = 4 * BATCH_MAX
    const scribble = (off: number): unknown => device.region.bytes.fill(0xee, off, off + 300)
    let sent = 0
    let next = 0
    until(device, count, () => {
      for (; sent < count && sender.canPush(); sent++) sender.push(sent, 300)
      device.flush()
      sender.reclaim(scribble)
      const n = peer.receive()
      sender.reclaim(scribble)
      for (let i = 0; i < n; i++) assert.deepEqual(peer.frame(i), testFrame(next++, 300))
      return n
    })
  },

  'frames are reported once each, in the order of push, with their bytes unchanged': (
    pair,
    sender,
  ) => {
    sendAndCheck(pair, sender, 700, () => 90)
    drain(pair, sender)
    assert.deepEqual(sender.done, sender.pushed)
    assert.equal(sender.frames.freeCount, sender.frames.capacity)
    sender.push(7, 90)
    pair.device.flush()
    drain(pair, sender)
    const off = sender.done[sender.done.length - 1]
    assert.deepEqual(pair.device.region.bytes.slice(off, off + 90), testFrame(7, 90))
  },

  'txSpace is what push takes, and comes back': (pair, sender) => {
    const { device, peer } = pair
    const space = device.txSpace()
    assert.ok(space > 0)
    const count = Math.min(space, FRAMES)
    for (let seq = 0; seq < count; seq++) sender.push(seq, 64)
    assert.ok(device.txSpace() <= space - count, `txSpace ${device.txSpace()} after ${count}`)
    device.flush()
    let next = 0
    until(device, count, () => {
      const n = peer.receive()
      for (let i = 0; i < n; i++) assert.deepEqual(peer.frame(i), testFrame(next++, 64))
      device.flush()
      sender.reclaim()
      return n
    })
    drain(pair, sender)
    until(device, 1, () => {
      peer.receive()
      sender.reclaim()
      return device.txSpace() === space ? 1 : 0
    })
  },

  'frames are counted': (pair, sender) => {
    const { device, peer, tagLen = 0 } = pair
    const { rxFrames, rxBytes, txFrames, txBytes } = device.stats
    sendAndCheck(pair, sender, 20, () => 100)
    assert.equal(device.stats.txFrames - txFrames, 20)
    assert.equal(device.stats.txBytes - txBytes, 20 * (100 + tagLen))
    for (let seq = 0; seq < 10; seq++) assert.ok(peer.send(testFrame(seq, 70)))
    until(device, 10, () => device.rx())
    assert.equal(device.stats.rxFrames - rxFrames, 10)
    assert.equal(device.stats.rxBytes - rxBytes, 10 * (70 + tagLen))
  },

  'a device closed under way gives every frame back, and then stays quiet': (pair, sender) => {
    const { device, peer } = pair
    for (let seq = 0; seq < 100; seq++) sender.push(seq, 80)
    device.flush()
    peer.receive()
    for (let seq = 100; seq < 120; seq++) sender.push(seq, 80)
    device.close()
    device.close()
    assert.equal(device.txSpace(), 0)
    assert.equal(device.rx(), 0)
    for (let turn = 0; turn < 4; turn++) {
      peer.receive()
      sender.reclaim()
    }
    assert.deepEqual(sender.done, sender.pushed)
    assert.equal(sender.frames.inFlightCount, 0)
  },

  'an interface that goes down and comes back costs frames, but no order and no buffer': (
    pair,
    sender,
  ) => {
    const { device, peer, link } = pair
    sendAndCheck(pair, sender, 50, () => 90)
    assert.equal(device.linkMtu(), device.mtu)
    link?.set(false)
    assert.equal(device.linkMtu(), 0)
    for (let seq = 0; seq < 30; seq++) sender.push(900 + seq, 90)
    for (let turn = 0; turn < 5; turn++) {
      device.flush()
      device.wait(1000)
      assert.equal(device.rx(), 0)
      sender.reclaim()
    }
    assert.equal(device.down, '')
    link?.set(true)
    assert.equal(device.linkMtu(), device.mtu)
    // What waited in between may come or be lost.
    drain(pair, sender)
    while (peer.receive() > 0) sender.reclaim()
    sendAndCheck(pair, sender, 200, () => 90)
    drain(pair, sender)
    assert.deepEqual(sender.done, sender.pushed)
    // Until the kernel has set up the far end's queue as well, what that sends is lost.
    until(device, 1, () => {
      assert.ok(peer.send(testFrame(7, 100)))
      return Math.min(device.rx(), 1)
    })
  },

  'an interface that is removed ends the device with a reason, and every frame comes back': (
    { device, link },
    sender,
  ) => {
    for (let seq = 0; seq < 20; seq++) sender.push(seq, 90)
    device.flush()
    link?.remove()
    until(device, 1, () => (device.down === '' ? device.rx() * 0 : 1))
    assert.match(device.down, new RegExp(`^${device.name} was removed \\(E[A-Z]+\\)$`))
    assert.equal(device.txSpace(), 0)
    assert.equal(device.rx(), 0)
    device.flush()
    sender.reclaim()
    assert.deepEqual(sender.done, sender.pushed)
    device.wait(0)
  },

  'an interface that is down when it is removed ends the device as well': ({ device, link }) => {
    link?.set(false)
    for (let turn = 0; turn < 3; turn++) device.wait(1000)
    assert.equal(device.rx(), 0)
    assert.equal(device.down, '')
    link?.remove()
    // Nobody tells of it: the device looks, also while it would sleep for long.
    for (let turn = 0; turn < 5 && device.down === ''; turn++) {
      device.wait(1_000_000)
      device.rx()
    }
    assert.match(device.down, new RegExp(`^${device.name} was removed \\(E[A-Z]+\\)$`))
  },

  'gather sends header and body as one frame': ({ device, peer, content }, sender) => {
    assert.ok(content !== undefined, 'a device that gathers comes with its content region')
    const whole = testFrame(5, 1000)
    const frame = sender.frames.alloc()
    const off = sender.frames.payloadOff(frame)
    device.region.bytes.set(whole.subarray(0, 54), off)
    content.bytes.set(whole.subarray(54), 4096)
    device.gather(off, 54, 4096, 946, OFFLOAD_NONE)
    sender.frames.sent(frame)
    device.flush()
    until(device, 1, () => {
      const n = peer.receive()
      if (n > 0) assert.deepEqual(peer.frame(0), whole)
      return n
    })
    until(device, 1, () => {
      const before = sender.done.length
      peer.receive()
      sender.reclaim()
      return sender.done.length - before
    })
    assert.deepEqual(sender.done, [off])
  },
}

/** Runs the contract's tests against a back end; `skip` is why it cannot run here. */
export function deviceSuite(name: string, makePair: () => Pair, skip = ''): void {
  describe(`device contract: ${name}`, { skip: skip || false }, () => {
    for (const [title, run] of Object.entries(CASES)) {
      test(title, () => {
        const pair = makePair()
        try {
          // What a device does not offer, its contract does not hold.
          if (title.startsWith('gather') && !pair.device.caps.gather) return
          if (title.startsWith('an interface') && pair.link === undefined) return
          run(pair, new Sender(pair.device))
        } finally {
          pair.close()
        }
      })
    }
  })
}
