/**
 * memif with DPDK at the other end (testpmd, net_memif), which shares no code with us: in both
 * roles, at a path and at an abstract name, it sends frames back, makes some, and counts those that
 * come.
 */
import assert from 'node:assert/strict'
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { FramePool, type MemifRole, OFFLOAD_NONE } from '../src/index.ts'
import { testFrame } from './device.suite.ts'
import { type End, newSocket, openEnd, pump } from './memifTest.ts'
import { testpmdProblem, unless } from './privileges.ts'

const needsTestpmd = unless(testpmdProblem())

const MODES = ['macswap', 'txonly', 'rxonly'] as const
/**
 * Frames under way to testpmd and back: fewer than its ring holds, which drops what it cannot send.
 */
const WINDOW = 200

interface Testpmd {
  readonly child: ChildProcessWithoutNullStreams
  /** What it has printed so far. */
  output(): string
  /** Ends it, and returns what it has printed. */
  stop(): Promise<string>
}

/** testpmd in the other role than `ours`, forwarding in `mode`. */
function startTestpmd(
  socket: string,
  ours: MemifRole,
  mode: string,
  more: readonly string[],
): Testpmd {
  const role = ours === 'client' ? 'server' : 'client'
  const isAbstract = socket.startsWith('@')
  const place = `socket=${socket.replace('@', '')},socket-abstract=${isAbstract ? 'yes' : 'no'}`
  const eal = ['--no-huge', '--no-pci', '--no-shconf', '--no-telemetry', '-m', '256']
  const device = `--vdev=net_memif0,role=${role},${place},bsize=2048,secret=psst`
  const app = [`--forward-mode=${mode}`, '--auto-start', '--no-flush-rx']
  const memory = ['--no-mlockall', '--total-num-mbufs=16384']
  // A line at a time, lest we wait for what lies in its buffer.
  const argv = ['-oL', 'dpdk-testpmd', ...eal, device, '--', ...app, ...memory, ...more]
  const child = spawn('stdbuf', argv)
  const chunks: Buffer[] = []
  child.stdout.on('data', chunk => chunks.push(chunk))
  child.stderr.on('data', chunk => chunks.push(chunk))
  const output = (): string => Buffer.concat(chunks).toString()
  const exit = once(child, 'close')
  return {
    child,
    output,
    async stop() {
      child.stdin.write('\n')
      const late = setTimeout(() => child.kill('SIGKILL'), 5000)
      await exit
      clearTimeout(late)
      return output()
    },
  }
}

/** What testpmd says at its end that it has received, or sent. */
function countOf(output: string, what: 'RX' | 'TX'): number {
  const end = output.slice(output.indexOf('Forward statistics for port 0'))
  return Number(new RegExp(`${what}-packets: (\\d+)`).exec(end)?.[1] ?? -1)
}

/** Opens our end in `role`, starts testpmd, runs `body` once they have met. */
async function withTestpmd(
  role: MemifRole,
  mode: (typeof MODES)[number],
  body: (end: End, pmd: Testpmd) => Promise<void>,
  { socket = newSocket(), more = [] as string[], mtu = 1500 } = {},
): Promise<void> {
  const end = openEnd({ socket, role, secret: 'psst', mtu }, 8 << 20)
  const pmd = startTestpmd(socket, role, mode, more)
  try {
    await pump([end], () => end.link.isUp && pmd.output().includes('Press enter to exit'), 20_000)
    end.lines.length = 0 // testpmd listens before it knows the id
    await body(end, pmd)
    await pmd.stop()
    await pump([end], () => !end.link.isUp)
    // It refuses who comes while it starts.
    const lines = end.lines.filter(line => !line.endsWith('the peer disconnects: ID not found'))
    assert.equal(lines.length, 1, lines.join('; '))
    assert.match(lines[0], /^memif:.*: the peer (has gone|disconnects: Device closed)/)
  } catch (error) {
    throw new Error(`${(error as Error).stack}\ntestpmd: ${(await pmd.stop()).slice(-2000)}`)
  } finally {
    await pmd.stop()
    end.close()
  }
}

/**
 * Sends `count` frames of length len(seq), with a window of so many; calls `each` with those that
 * come.
 */
async function exchange(
  end: End,
  count: number,
  len: (seq: number) => number,
  each: (frame: Uint8Array) => void,
  comesBack: boolean,
): Promise<void> {
  const { device } = end
  const frames = new FramePool(device.region, 256, Math.ceil(Math.log2(device.mtu + 256)))
  let sent = 0
  let got = 0
  let done = 0
  const turn = (): boolean => {
    const returned = device.reclaim()
    for (let i = 0; i < returned; i++) frames.complete(device.doneOff[i])
    done += returned
    while (sent < count && sent - (comesBack ? got : done) < WINDOW && frames.freeCount > 0) {
      const frame = frames.alloc()
      const off = frames.payloadOff(frame)
      device.region.bytes.set(testFrame(sent, len(sent)), off)
      device.push(off, len(sent), OFFLOAD_NONE)
      frames.sent(frame)
      sent++
    }
    device.flush()
    const n = device.rx()
    for (let i = 0; i < n; i++, got++) {
      const off = device.rxOff[i]
      each(device.region.bytes.slice(off, off + device.rxLen[i]))
    }
    return done === count && (!comesBack || got === count)
  }
  await pump([end], turn, 20_000)
}

/** What macswap makes of a frame. */
function swapped(frame: Uint8Array): Uint8Array {
  const copy = frame.slice()
  copy.set(frame.subarray(6, 12), 0)
  copy.set(frame.subarray(0, 6), 6)
  return copy
}

async function expectEcho(end: End, count: number, len: (seq: number) => number): Promise<void> {
  let next = 0
  const each = (frame: Uint8Array): void => {
    assert.deepEqual(frame, swapped(testFrame(next, len(next))))
    next++
  }
  await exchange(end, count, len, each, true)
  assert.equal(end.device.rx(), 0)
}

/** A frame of testpmd's own: UDP in IPv4, as long as it says, with a right header checksum. */
function checkMade(frame: Uint8Array, len: number): void {
  const view = new DataView(frame.buffer)
  assert.equal(frame.length, len)
  assert.equal(view.getUint16(12), 0x0800)
  assert.equal(view.getUint16(16), len - 14)
  let sum = 0
  for (let at = 14; at < 34; at += 2) sum += view.getUint16(at)
  assert.equal((sum & 0xffff) + (sum >> 16), 0xffff)
  assert.equal(view.getUint16(38), len - 34)
}

for (const role of ['client', 'server'] as const) {
  test(
    `${role}: every frame comes back from testpmd, once and in order`,
    needsTestpmd,
    async () => {
      await withTestpmd(role, 'macswap', end =>
        expectEcho(end, 20_000, seq => 60 + ((seq * 37) % 1455)),
      )
    },
  )

  test(`${role}: the same at an abstract name`, needsTestpmd, async () => {
    const socket = `@memif-testpmd-${process.pid}-${role}`
    await withTestpmd(role, 'macswap', end => expectEcho(end, 2000, () => 1514), { socket })
  })

  test(`${role}: more frames than an index counts come back`, needsTestpmd, async () => {
    await withTestpmd(role, 'macswap', end => expectEcho(end, 140_000, () => 64))
  })

  // net_memif leaves NEXT in a descriptor that it uses again; as a server it finds ours cleared, as
  // a client it sends frames whole only if they are of equally many pieces that divide its ring.
  test(`${role}: frames of 8 KB come back in pieces`, needsTestpmd, async () => {
    const [min, span] = role === 'client' ? [60, 8100] : [6200, 1900]
    const len = (seq: number): number => min + ((seq * 37) % span)
    await withTestpmd(role, 'macswap', end => expectEcho(end, 2000, len), { mtu: 9000 })
  })

  for (const sizes of [[64], [700, 500, 200, 100]]) {
    test(
      `${role}: frames that testpmd makes of ${sizes.join('+')} bytes arrive`,
      needsTestpmd,
      async () => {
        const len = sizes.reduce((sum, n) => sum + n)
        await withTestpmd(
          role,
          'txonly',
          async (end, pmd) => {
            const { device } = end
            let got = 0
            await pump([end], () => {
              const n = device.rx()
              for (let i = 0; i < n; i++, got++) {
                const off = device.rxOff[i]
                checkMade(device.region.bytes.slice(off, off + device.rxLen[i]), len)
              }
              return got >= 100_000
            })
            assert.equal(device.stats.rxDropped, 0)
            assert.ok(countOf(await pmd.stop(), 'TX') >= got)
          },
          { more: [`--txpkts=${sizes}`] },
        )
      },
    )
  }

  test(`${role}: testpmd counts what we have sent`, needsTestpmd, async () => {
    await withTestpmd(role, 'rxonly', async (end, pmd) => {
      await exchange(
        end,
        30_000,
        seq => 60 + (seq % 1400),
        () => assert.fail('nothing comes'),
        false,
      )
      await new Promise(resolve => setTimeout(resolve, 100))
      assert.equal(end.device.stats.txFrames, 30_000)
      assert.equal(countOf(await pmd.stop(), 'RX'), 30_000)
    })
  })
}
