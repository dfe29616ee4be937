/** openTap against the kernel, in a network namespace of this process's own. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { afterEach, test } from 'node:test'
import {
  closeHandle,
  makeDevice,
  openTap,
  Region,
  SysError,
  type TapHandle,
  type TapOptions,
  tapRegionBytes,
} from '../src/index.ts'
import { addAddress, listAddresses, listRoutes, setLink } from '../src/sys/links.ts'
import { parsePrefix, prefixText } from '../src/sys/prefix.ts'
import { ipv6Problem, persistentTaps } from '../src/sys/probe.ts'
import { ownNamespace, tapProblem, unless, withoutNetAdmin } from './privileges.ts'
import { deleteLink, findLink, makePersistentTap } from './taps.ts'

const needsTap = unless(tapProblem())
if (needsTap.skip === false) ownNamespace()

const handles: TapHandle[] = []
function open(options: Partial<TapOptions>): TapHandle {
  const handle = openTap({ name: 'tt0', offloads: true, ...options })
  handles.push(handle)
  return handle
}
/** The message of the SysError that opening gives. */
function refusal(options: Partial<TapOptions>): string {
  let message = ''
  assert.throws(
    () => open(options),
    (error: unknown) => {
      message = error instanceof SysError ? error.message : `not a SysError: ${error}`
      return error instanceof SysError
    },
  )
  assert.ok(!message.includes('\n'), 'one line')
  return message
}
function addressesOf(name: string): string[] {
  const index = findLink(name)?.index
  return listAddresses()
    .filter(a => a.index === index && a.prefix.bytes.length === 4)
    .map(a => prefixText(a.prefix))
}
afterEach(() => {
  for (const handle of handles.splice(0)) closeHandle(handle)
  for (const name of ['tt0', 'tt1']) if (findLink(name) !== undefined) deleteLink(name)
})

test(
  'an IPv6 address is there at once, with its route and without duplicate address detection',
  needsTap,
  () => {
    open({ hostAddresses: ['10.77.0.1/24', 'fd77::1/64'], serverAddresses: ['fd77::2/64'] })
    const index = findLink('tt0')?.index
    const prefixes = listAddresses()
      .filter(a => a.index === index)
      .map(a => prefixText(a.prefix))
    assert.ok(prefixes.includes('10.77.0.1/24') && prefixes.includes('fd77::1/64'), `${prefixes}`)
    const routes = listRoutes()
      .filter(r => r.index === index)
      .map(r => prefixText(r.prefix))
    assert.ok(routes.includes('fd77::/64'), `${routes}`)
    const state = readFileSync('/proc/net/if_inet6', 'latin1')
    // Index, prefix length, scope, flags (linux/if_addr.h): permanent, and not tentative.
    assert.match(state, /^fd770{27}1 \w\w 40 00 82 +tt0$/m)
  },
)

test('an IPv6 address or subnet that something else has is refused', needsTap, () => {
  open({ name: 'tt1', hostAddresses: ['fd77::1/64'] })
  assert.match(refusal({ hostAddresses: ['fd77::1/64'] }), /tt1 has it/)
  assert.match(refusal({ hostAddresses: ['fd77::9/64'] }), /is routed to tt1/)
  const wider = { hostAddresses: ['fd77:0:0:1::1/48'] }
  assert.match(refusal({ ...wider, serverAddresses: ['fd77::2/48'] }), /is routed to tt1/)
  open({ ...wider, serverAddresses: ['fd77:0:0:1::2/48'] })
})

test('a host without IPv6 says so, and what would mend it', needsTap, () => {
  const file = '/proc/sys/net/ipv6/conf/default/disable_ipv6'
  assert.equal(ipv6Problem('tt0'), '')
  writeFileSync(file, '1')
  assert.match(ipv6Problem('tt0'), /sysctl -w net\.ipv6\.conf\.default\.disable_ipv6=0/)
  open({})
  assert.match(ipv6Problem('tt0'), /net\.ipv6\.conf\.tt0/)
  writeFileSync(file, '0')
  assert.match(ipv6Problem('tt0'), /net\.ipv6\.conf\.tt0/, 'the interface was made before')
})

test(
  'a TAP is made with its address, MTU and queue length, up, and goes when closed',
  needsTap,
  () => {
    const handle = open({ hostAddresses: ['10.77.0.1/24'], mtu: 1400 })
    const link = findLink('tt0')
    assert.ok(link !== undefined)
    assert.deepEqual(
      { up: link.up, carrier: link.carrier, mtu: link.mtu, txQueueLen: link.txQueueLen },
      { up: true, carrier: true, mtu: 1400, txQueueLen: 4096 },
    )
    assert.deepEqual(addressesOf('tt0'), ['10.77.0.1/24'])
    const route = listRoutes().find(r => r.index === link.index && r.prefix.bytes.length === 4)
    assert.equal(route && prefixText(route.prefix), '10.77.0.0/24')
    assert.equal(handle.mtu, 1400)
    assert.equal(handle.persistent, false)
    assert.notDeepEqual(handle.mac, link.mac, 'the two ends have two addresses')
    assert.deepEqual(structuredClone(handle), handle)
    closeHandle(handle)
    assert.equal(findLink('tt0'), undefined)
    closeHandle(handle)
    assert.deepEqual([handle.owned, handle.wakeFd], [[], -1])
    const region = new Region(tapRegionBytes(handle))
    assert.throws(() => makeDevice(handle, region, region), /open/)
  },
)

test('the hardware address is local, unicast, and random', needsTap, () => {
  const macs = [1, 2].map(() => {
    const handle = open({})
    closeHandle(handle)
    assert.equal(handle.mac[0], 0x02)
    return handle.mac.join(':')
  })
  assert.notEqual(macs[0], macs[1])
})

test(
  'a second opener of the name is told that it is busy, and the first is unharmed',
  needsTap,
  () => {
    for (const multiQueue of [false, true]) {
      const first = open({ multiQueue, hostAddresses: ['10.77.0.1/24'] })
      assert.match(refusal({ multiQueue }), /^tap tt0: .*\(EBUSY\): another running program has it/)
      assert.ok(findLink('tt0')?.up)
      closeHandle(first)
    }
  },
)

test('an interface that is no TAP is left alone', needsTap, () => {
  assert.match(refusal({ name: 'lo' }), /^tap lo: .*\(EEXIST\): it is a hardware interface, no TAP/)
})

test('an address that the machine has elsewhere is refused, for either side', needsTap, () => {
  open({ name: 'tt1', hostAddresses: ['10.77.0.1/24'] })
  const host = refusal({ hostAddresses: ['10.77.0.1/24'] })
  assert.match(host, /^address 10\.77\.0\.1: .*\(EADDRINUSE\): tt1 has it; choose another/)
  const server = refusal({ hostAddresses: ['10.78.0.1/24'], serverAddresses: ['10.77.0.1/24'] })
  assert.match(server, /^address 10\.77\.0\.1: .*tt1 has it/)
  assert.equal(findLink('tt0'), undefined, 'nothing was made')
})

test('an address on an interface that is down counts as well', needsTap, () => {
  makePersistentTap('tt1', 0)
  addAddress(findLink('tt1')?.index ?? 0, parsePrefix('10.77.0.1/24')!)
  assert.match(refusal({ hostAddresses: ['10.77.0.1/24'] }), /tt1 has it/)
})

test('a subnet that is routed elsewhere is refused, a wider route is not', needsTap, () => {
  open({ name: 'tt1', hostAddresses: ['10.77.0.1/24'] })
  const same = refusal({ hostAddresses: ['10.77.0.9/24'], serverAddresses: ['10.77.0.10/24'] })
  assert.match(
    same,
    /^subnet 10\.77\.0\.9\/24: .*\(EADDRINUSE\): 10\.77\.0\.0\/24 is routed to tt1/,
  )
  const wider = { hostAddresses: ['10.77.9.1/16'] }
  assert.match(refusal({ ...wider, serverAddresses: ['10.77.0.10/16'] }), /is routed to tt1/)
  open({ ...wider, serverAddresses: ['10.77.9.2/16'] })
})

test('without CAP_NET_ADMIN the message holds the commands that help', needsTap, () => {
  withoutNetAdmin(() => {
    const message = refusal({ hostAddresses: ['10.77.0.1/24'] })
    assert.match(message, /^create tap tt0: operation not permitted \(EPERM\): run with sudo; or /)
    assert.match(message, /sudo ip tuntap add dev tt0 mode tap user \S+ && sudo ip address add /)
    assert.match(message, /10\.77\.0\.1\/24 dev tt0 && sudo ip link set tt0 up/)
    assert.match(message, /sudo setcap cap_net_admin\+ep \//)
  })
})

test('a persistent TAP that is ready is used without any right, and stays', needsTap, () => {
  for (const multiQueue of [false, true]) {
    makePersistentTap('tt0', 0, multiQueue)
    const { index } = findLink('tt0')!
    addAddress(index, parsePrefix('10.77.0.1/24')!)
    setLink(index, { up: true, mtu: 1300 })
    withoutNetAdmin(() => {
      const handle = open({ hostAddresses: ['10.77.0.1/24'] })
      assert.deepEqual([handle.persistent, handle.mtu], [true, 1300])
      assert.equal(findLink('tt0')?.carrier, true)
      assert.match(refusal({}), /^tap tt0: .*\(EBUSY\)/)
      closeHandle(handle)
    })
    const [{ addresses, ...facts }, ...others] = persistentTaps()
    assert.deepEqual(others, [])
    assert.deepEqual(facts, { name: 'tt0', owner: 0, multiQueue, up: true, busy: false })
    assert.ok(addresses.includes('10.77.0.1/24'))
    deleteLink('tt0')
  }
})

test(
  'a program on a persistent TAP makes it busy, whether it knows our lock or is not yet attached',
  needsTap,
  () => {
    for (const multiQueue of [false, true]) {
      makePersistentTap('tt0', 0, multiQueue)
      const first = open({})
      // As a program that does not know our lock would hold it.
      const [lockFd, ...rest] = first.owned
      closeHandle({ ...first, owned: [lockFd] })
      first.owned = rest
      assert.match(refusal({}), /^tap tt0: .*\(EBUSY\)/)
      closeHandle(first)
      // As an opener of ours that has the lock and is not yet attached.
      const second = open({})
      closeHandle({ ...second, owned: [second.fd] })
      second.owned = second.owned.filter(fd => fd !== second.fd)
      assert.match(refusal({}), /^tap tt0: .*\(EBUSY\)/)
      closeHandle(second)
      closeHandle(open({}))
      deleteLink('tt0')
    }
  },
)

test(
  'what a persistent TAP lacks is configured with the right, and named without it',
  needsTap,
  () => {
    makePersistentTap('tt0', 0)
    withoutNetAdmin(() => {
      const address = refusal({ hostAddresses: ['10.77.0.1/24'] })
      assert.match(
        address,
        /^configure tap tt0: .*EPERM.*sudo ip address add 10\.77\.0\.1\/24 dev tt0$/,
      )
      assert.match(refusal({ mtu: 1400 }), /EPERM.*sudo ip link set tt0 up mtu 1400/)
    })
    open({ hostAddresses: ['10.77.0.1/24'], mtu: 1400 })
    assert.deepEqual(addressesOf('tt0'), ['10.77.0.1/24'])
    assert.equal(findLink('tt0')?.mtu, 1400)
  },
)

test('a persistent TAP of somebody else, or made otherwise, is refused', needsTap, () => {
  makePersistentTap('tt0', 12345)
  withoutNetAdmin(() => {
    assert.match(refusal({}), /^attach to tap tt0: .*\(EPERM\): it belongs to uid 12345/)
  })
  assert.match(refusal({ multiQueue: true }), /^tap tt0: .*made without multi_queue; make it anew/)
})

test('words that are no name, MTU or address are named before anything is made', () => {
  const cases: [Partial<TapOptions>, RegExp][] = [
    [{ name: '' }, /^tap: name ''/],
    [{ name: 'a/b' }, /^tap: name 'a\/b'/],
    [{ name: 'tap%d' }, /^tap: name 'tap%d'/],
    [{ name: 'sixteen-bytes-xx' }, /^tap: name .*give 1 to 15 bytes/],
    [{ mtu: 67 }, /^tap: MTU 67.*give 68 to 65521/],
    [{ mtu: 65522 }, /^tap: MTU 65522/],
    [{ mtu: Number.NaN }, /^tap: MTU NaN/],
    [{ hostAddresses: ['10.77.0.256/24'] }, /^tap: host address 10\.77\.0\.256\/24/],
    [{ serverAddresses: ['x'] }, /^tap: server address x/],
    [
      { hostAddresses: ['10.0.0.1/24'], serverAddresses: ['10.0.0.1/24'] },
      /two different addresses/,
    ],
  ]
  for (const [options, message] of cases) assert.match(refusal(options), message)
})

test('kill -9 of the opener removes the interface and its lock', needsTap, async () => {
  const index = new URL('../src/index.js', import.meta.url).href
  const code = `import { openTap } from '${index}'
    openTap({ name: 'tt0', offloads: true, multiQueue: true }); console.log('open')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    await once(child.stdout, 'data')
    assert.ok(findLink('tt0') !== undefined)
    assert.match(refusal({}), /\(EBUSY\)/)
  } finally {
    child.kill('SIGKILL')
  }
  await once(child, 'exit')
  assert.equal(findLink('tt0'), undefined)
  open({})
})
