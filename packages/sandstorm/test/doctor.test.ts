/** `doctor` on machines of our own making: the table, the mending commands, the exit code. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type NicFacts, nicFacts } from '@sandstorm/libnmio'
import { checksOf, type Machine, tapState, thisMachine } from '../src/cli/checks.ts'
import { doctor, formatChecks } from '../src/cli/doctor.ts'

const FULL = 'CapPrm:\t000001ffffffffff\nCapEff:\t000001ffffffffff\n'
const NONE = 'CapEff:\t0000000000000000\n'
const SAND0 = '/sys/class/net/sand0'
const DISABLED6 = '/proc/sys/net/ipv6/conf/default/disable_ipv6'

/** A Linux machine as root has it; `files` and `change` say what is different. */
function makeMachine(change: Partial<Machine> = {}, files: Record<string, string> = {}): Machine {
  const all: Record<string, string> = {
    '/proc/self/status': FULL,
    [DISABLED6]: '0\n',
    ...files,
  }
  return {
    node: 'v20.19.0',
    platform: 'linux',
    release: '6.18.0',
    uid: 1000,
    read: path => all[path] ?? '',
    openProblem: () => '',
    addresses: () => [{ name: 'lo', address: '127.0.0.1' }],
    listenProblem: async () => '',
    ...change,
  }
}

const makeTap = (change: Record<string, string> = {}): Record<string, string> => ({
  [`${SAND0}/ifindex`]: '7\n',
  [`${SAND0}/tun_flags`]: '0x1802\n',
  [`${SAND0}/owner`]: '1000\n',
  [`${SAND0}/carrier`]: '0\n',
  ...change,
})

async function examine(machine: Machine): Promise<{ lines: string[]; code: number }> {
  const lines: string[] = []
  const code = await doctor(line => lines.push(line), machine, [], [])
  return { lines, code }
}

test('a machine with everything: nothing to mend, exit code 0', async () => {
  const { lines, code } = await examine(makeMachine())
  assert.equal(code, 0)
  assert.ok(lines.every(line => !/missing|note|mend/.test(line)))
  assert.match(lines.at(-1)!, /possible: sandstorm serve DIR$/)
})

describe('what is missing has exit code 1 and a command that mends it', () => {
  const problems: [name: string, machine: Machine, mend: RegExp][] = [
    ['an old Node', makeMachine({ node: 'v20.18.3' }), /mend: npx -p node@24/],
    ['another system', makeMachine({ platform: 'darwin' }), /--device kernel/],
    [
      'no tun',
      makeMachine({ openProblem: () => 'ENOENT' }),
      /mknod -m 666 \/dev\/net\/tun c 10 200/,
    ],
    ['a closed tun', makeMachine({ openProblem: () => 'EACCES' }), /chmod 666 \/dev\/net\/tun/],
    ['no driver', makeMachine({ openProblem: () => 'ENODEV' }), /modprobe tun/],
    ['a container', makeMachine({ openProblem: () => 'EPERM' }), /--cap-add NET_ADMIN/],
    [
      'no right',
      makeMachine({}, { '/proc/self/status': NONE }),
      /ip tuntap add dev sand0 mode tap .* fd77::1\/64 dev sand0 nodad$/m,
    ],
  ]
  for (const [name, machine, mend] of problems)
    test(name, async () => {
      const { lines, code } = await examine(machine)
      assert.equal(code, 1)
      assert.equal(lines.filter(line => line.startsWith('missing')).length, 1)
      assert.match(lines.join('\n'), mend)
      assert.match(lines.at(-1)!, /^Only the kernel device/)
    })
})

describe('what is only in the way of the defaults is a note: exit code 0', () => {
  const notes: [name: string, machine: Machine, fix: RegExp][] = [
    [
      'the subnet is taken',
      makeMachine({ addresses: () => [{ name: 'eth1', address: '10.77.0.9' }] }),
      /eth1 has 10\.77\.0\.9[\s\S]*--address 10\.77\.1\.2/,
    ],
    ['the TAP is in use', makeMachine({}, makeTap({ [`${SAND0}/carrier`]: '1\n' })), /tap:sand1/],
    [
      'port 8080',
      makeMachine({ listenProblem: async () => 'EADDRINUSE' }),
      /EADDRINUSE[\s\S]*--port/,
    ],
  ]
  for (const [name, machine, fix] of notes)
    test(name, async () => {
      const { lines, code } = await examine(machine)
      assert.equal(code, 0)
      assert.equal(lines.filter(line => line.startsWith('note')).length, 1)
      assert.match(lines.join('\n'), fix)
    })
})

test('a persistent TAP of this user makes CAP_NET_ADMIN needless, its own address no conflict', async () => {
  const files = { '/proc/self/status': NONE, ...makeTap() }
  const addresses = (): { name: string; address: string }[] => [
    { name: 'sand0', address: '10.77.0.1' },
  ]
  const { lines, code } = await examine(makeMachine({ addresses }, files))
  assert.equal(code, 0)
  assert.match(lines.join('\n'), /not needed: sand0/)
})

test('tapState tells a free name, our TAP, one in use, and what is no TAP of ours', () => {
  const state = (files: Record<string, string>): string => tapState(makeMachine({}, files))
  assert.equal(state({}), 'free')
  assert.equal(state(makeTap()), 'ours')
  assert.equal(state(makeTap({ [`${SAND0}/carrier`]: '1\n' })), 'busy')
  assert.equal(state(makeTap({ [`${SAND0}/owner`]: '1001\n' })), 'foreign')
  assert.equal(state(makeTap({ [`${SAND0}/tun_flags`]: '0x1801\n' })), 'foreign') // a TUN
  assert.equal(state(makeTap({ [`${SAND0}/tun_flags`]: '' })), 'foreign') // a bridge, say
})

describe('of interfaces that are there', () => {
  const nic: NicFacts = {
    name: 'eth1',
    driver: 'ice',
    isUp: true,
    mtu: 1500,
    addresses: ['192.0.2.5/24'],
    receiveQueues: 1,
    hasLro: false,
    xdp: 'zero-copy',
  }
  const linesOf = async (change: Partial<NicFacts>, machine = makeMachine()): Promise<string> => {
    const lines: string[] = []
    await doctor(line => lines.push(line), machine, [], [{ ...nic, ...change }])
    return lines.join('\n')
  }
  test('it says what they can do', async () => {
    const expected =
      /^ok +eth1 +ice, MTU 1500, 1 receive queue, XDP native, zero-copy, 192\.0\.2\.5\/24$/m
    assert.match(await linesOf({}), expected)
  })
  for (const [change, said] of [
    [{ isUp: false }, /^note +eth1 .*down\n +mend: sudo ip link set eth1 up$/m],
    [{ addresses: [] }, /no address\n +mend: sandstorm serve DIR --device packet:eth1 --address/],
    [{ hasLro: true }, /LRO.*\n +mend: sudo ethtool -K eth1 lro off$/m],
    [{ receiveQueues: 4 }, /mend: sandstorm serve DIR --device xdp:eth1 --workers 4$/m],
  ] as const)
    test(`and what is in the way: ${JSON.stringify(change)}`, async () => {
      assert.match(await linesOf(change), said)
    })
  test('a busy port, missing rights and an old kernel are notes with a command', async () => {
    const busy = makeMachine({ listenProblem: async () => 'EADDRINUSE' })
    assert.match(await linesOf({}, busy), /port 80 is in use\n +mend: .*packet:eth1 --port 8080$/m)
    const poor = makeMachine({}, { '/proc/self/status': 'CapEff:\t0000000000001000\n' })
    const needs =
      /^note +--device packet +needs CAP_NET_RAW, CAP_BPF, CAP_NET_BIND_SERVICE\n +mend: sudo setcap /m
    assert.match(await linesOf({}, poor), needs)
    const old = await linesOf({}, makeMachine({ release: '6.1.0' }))
    assert.match(old, /^note +--device packet +needs Linux 6\.6$/m)
    assert.match(old, /^ok +--device xdp /m)
    const jumbo = /xdp takes 3498 bytes of it before Linux 6\.6\n +mend: .* --device packet:eth1$/m
    assert.match(await linesOf({ mtu: 9000 }, makeMachine({ release: '6.5.0' })), jumbo)
    assert.match(await linesOf({ mtu: 9000 }), /^ok +eth1 +ice, MTU 9000/m)
  })
  test('this machine’s own can be told', () => {
    for (const { name, mtu, receiveQueues } of nicFacts()) {
      assert.ok(name.length > 0 && mtu > 0 && receiveQueues > 0)
    }
  })
})

test('a plugged-in check takes its place in the table and in the verdict', async () => {
  const lines: string[] = []
  const koffi = { name: 'koffi', state: 'missing', detail: 'no', fix: 'npm ci' } as const
  const code = await doctor(line => lines.push(line), makeMachine(), [() => koffi])
  assert.equal(code, 1)
  assert.match(lines.join('\n'), /missing {2}koffi[^\n]*\n +mend: npm ci/)
})

test('on this machine every check has an answer, and each problem a command', async () => {
  for (const check of checksOf(thisMachine)) {
    const { name, state, detail, fix } = await check()
    assert.ok(name !== '' && detail !== '')
    assert.equal(fix === '', state === 'ok', formatChecks([{ name, state, detail, fix }]).join(' '))
  }
})

describe('IPv6', () => {
  const noteOf = async (machine: Machine): Promise<string> => {
    const { lines, code } = await examine(machine)
    assert.equal(code, 0)
    const at = lines.findIndex(line => /^note +fd77::2\/64 /.test(line))
    return at < 0 ? '' : lines.slice(at, at + 2).join(' ')
  }
  test('that is there needs no note', async () => {
    assert.equal(await noteOf(makeMachine()), '')
  })
  test('that is disabled is one, with what enables it', async () => {
    const disabled = await noteOf(makeMachine({}, { [DISABLED6]: '1\n' }))
    assert.match(disabled, /IPv4 alone.*mend: sudo sysctl -w net\.ipv6/)
    assert.match(await noteOf(makeMachine({}, { [DISABLED6]: '' })), /the kernel has no IPv6/)
  })
  test('whose default subnet is in use is one, but not if it is by the TAP', async () => {
    const addressOn = (name: string): Machine =>
      makeMachine({ addresses: () => [{ name, address: 'fd77::99' }] })
    assert.match(await noteOf(addressOn('eth0')), /eth0 has fd77::99.*mend: sandstorm serve/)
    assert.equal(await noteOf(addressOn('sand0')), '')
  })
})
