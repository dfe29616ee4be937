/**
 * The configuration: defaults of the contract, every refusal with flag, value and what was
 * expected, and properties over arbitrary text.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { failureOf, UserError } from '../src/cli/errors.ts'
import { formatIpv4, parseIpv4, usableRange } from '../src/cli/ipv4.ts'
import { formatSize, parseSize } from '../src/cli/size.ts'
import { ConfigError, checkConfig, findProblems, type ServeFlags } from '../src/config.ts'
import { plainSite, type Site } from '../src/site/site.ts'

const root = mkdtempSync(join(tmpdir(), 'sandstorm-config-'))
after(() => rmSync(root, { recursive: true }))

const check = (flags: Omit<ServeFlags, 'root'> = {}): ReturnType<typeof checkConfig> =>
  checkConfig({ root, ...flags })

/** What says how a server is watched, and its limits, unless told otherwise. */
const WATCHED = {
  accessLog: { path: '', format: 'combined' },
  admin: undefined,
  logLevel: 'info',
  limits: {
    headTimeoutMs: 10_000,
    idleTimeoutMs: 60_000,
    stallTimeoutMs: 120_000,
    requestsPerConnection: 0,
    connectionsPerAddress: 0,
    requestsPerSecond: 0,
    targetBytes: 4096,
    headBytes: 8192,
    fields: 100,
    bodyBytes: 65536,
    drainTimeoutMs: 5000,
  },
}

test('the defaults are those of the contract', () => {
  assert.deepEqual(check(), {
    sites: [plainSite(root)],
    devices: [{ kind: 'auto', name: 'sand0' }],
    address: '10.77.0.2',
    prefixLen: 24,
    hostAddress: '10.77.0.1',
    others: [],
    gateway: '',
    link6: {
      addresses: ['fd77::2/64'],
      hostAddresses: ['fd77::1/64'],
      gateway: '',
      isDefault: true,
    },
    port: 80,
    kernel: { address: '127.0.0.1', port: 8080, connections: 10_000 },
    mtu: 1500,
    memoryBytes: 2 ** 30,
    transmit: 'auto',
    replicas: 0,
    cc: 'cubic',
    pacing: false,
    pcap: '',
    trace: false,
    fault: '',
    workers: 1,
    connections: 65_536,
    cpus: [],
    memif: { role: 'client', id: 0 },
    spinUs: undefined,
    rxBatch: 64,
    txDelayUs: 0,
    busyPollUs: 0,
    trustsAddresses: false,
    bridge: '',
    vlan: 0,
    stackFlags: [],
    ...WATCHED,
  })
})

test('every flag arrives where it belongs', () => {
  const config = check({
    device: ['tap:web1'],
    address: ['192.168.50.7/28', '192.168.50.8/28', '10.0.0.9/32', '172.16.0.1'],
    gateway: '172.16.0.200',
    hostAddress: '192.168.50.9/28',
    address6: ['2001:DB8:0::7/48', 'fe80::7'],
    hostAddress6: ['2001:db8::9/48'],
    gateway6: 'fe80::1',
    port: '8000',
    mtu: '9000',
    memory: '300M',
    transmit: 'copy',
    replicas: '4',
    cc: 'newreno',
    pacing: true,
    trustAddress: true,
    pcap: join(root, 'out.pcapng'),
    trace: true,
    fault: 'drop=0.01',
    workers: '4',
    connections: '1000000',
    cpus: '0,2-4',
    spin: '20',
    rxBatch: '1',
    txDelay: '50',
  })
  assert.deepEqual(config, {
    sites: [plainSite(root)],
    devices: [{ kind: 'tap', name: 'web1' }],
    address: '192.168.50.7',
    prefixLen: 28,
    hostAddress: '192.168.50.9',
    others: [
      { address: '192.168.50.8', prefixLen: 28 },
      { address: '10.0.0.9', prefixLen: 32 },
      { address: '172.16.0.1', prefixLen: 24 },
    ],
    gateway: '172.16.0.200',
    link6: {
      addresses: ['2001:db8::7/48', 'fe80::7/64'],
      hostAddresses: ['2001:db8::9/48'],
      gateway: 'fe80::1',
      isDefault: false,
    },
    port: 8000,
    kernel: { address: '192.168.50.7', port: 8000, connections: 1e6 },
    mtu: 9000,
    memoryBytes: 300 * 2 ** 20,
    transmit: 'copy',
    replicas: 4,
    cc: 'newreno',
    pacing: true,
    trustsAddresses: true,
    pcap: join(root, 'out.pcapng'),
    trace: true,
    fault: 'drop=0.01',
    workers: 4,
    connections: 1e6,
    cpus: [0, 2, 3, 4],
    memif: { role: 'client', id: 0 },
    spinUs: 20,
    rxBatch: 1,
    txDelayUs: 50,
    busyPollUs: 0,
    bridge: '',
    vlan: 0,
    stackFlags: [
      '--host-address',
      '--gateway',
      'a second --address',
      '--address6',
      '--host-address6',
      '--gateway6',
      '--mtu',
      '--transmit',
      '--replicas',
      '--cc',
      '--pacing',
      '--pcap',
      '--trace',
      '--fault',
      '--workers',
      '--cpus',
      '--spin',
      '--rx-batch',
      '--tx-delay',
      '--trust-address',
    ],
    ...WATCHED,
  })
})

describe('kernel', () => {
  test('listens on 127.0.0.1:8080 unless told otherwise', () => {
    const config = check({ device: ['kernel'] })
    assert.deepEqual(config.kernel, { address: '127.0.0.1', port: 8080, connections: 10_000 })
    assert.deepEqual(config.devices, [{ kind: 'kernel', name: '' }])
  })
  test('accepts a prefix length and ignores it', () => {
    const config = check({ device: ['kernel'], address: ['0.0.0.0/32'], port: '3000' })
    assert.deepEqual(config.kernel, { address: '0.0.0.0', port: 3000, connections: 10_000 })
  })
  test('takes a number of connections, which is no flag of our own stack alone', () => {
    const config = check({ device: ['kernel'], connections: '200' })
    assert.equal(config.kernel.connections, 200)
    assert.deepEqual(config.stackFlags, [])
  })
  const stackFlags: Omit<ServeFlags, 'root'>[] = [
    { hostAddress: '10.0.0.1' },
    { address6: ['fd77::2'] },
    { hostAddress6: ['fd77::1'] },
    { gateway6: 'fd77::1' },
    { mtu: '1500' },
    { transmit: 'copy' },
    { replicas: '1' },
    { cc: 'newreno' },
    { pacing: true },
    { trustAddress: true },
    { pcap: 'x' },
    { trace: true },
    { fault: 'drop=1' },
    { workers: '2' },
    { cpus: '0' },
    { spin: '0' },
    { rxBatch: '64' },
    { txDelay: '0' },
    { busyPoll: '20' },
    { memifRole: 'server' },
    { memifId: '1' },
    { bridge: 'br0' },
    { vlan: '10' },
  ]
  for (const flags of stackFlags)
    test(`refuses ${Object.keys(flags)}, which would do nothing there`, () => {
      assert.throws(() => check({ device: ['kernel'], ...flags }), UserError)
    })
})

describe('an interface that is there', () => {
  for (const kind of ['packet', 'xdp'] as const) {
    const device = `${kind}:web0`
    test(`${kind}: addresses and MTU are the interface's, unless told otherwise`, () => {
      const shared = check({ device: [device] })
      assert.deepEqual(shared.devices, [{ kind, name: 'web0' }])
      assert.deepEqual(
        [shared.address, shared.hostAddress, shared.mtu, shared.port],
        ['', '', 0, 80],
      )
      assert.deepEqual(shared.link6.addresses, [])
      const address6 = ['fd99::7/64']
      const own = check({
        device: [device],
        address: ['10.99.0.7/24'],
        address6,
        gateway6: 'fd99::1',
      })
      assert.deepEqual([own.address, own.prefixLen, own.hostAddress], ['10.99.0.7', 24, ''])
      const { addresses, hostAddresses, gateway } = own.link6
      assert.deepEqual([addresses, hostAddresses, gateway], [['fd99::7/64'], [], 'fd99::1'])
    })
    test(`${kind}: what only a TAP has, or only an address of our own, is refused`, () => {
      const useless: Partial<ServeFlags>[] = [
        { hostAddress: '10.99.0.3' },
        { hostAddress6: ['fd99::3'] },
        { gateway: '10.99.0.1' },
        { gateway6: 'fd99::1' },
      ]
      for (const flags of useless)
        assert.throws(() => check({ device: [device], ...flags }), UserError)
    })
  }
})

describe('memif', () => {
  const address = ['192.168.7.9/24']
  test('has a socket, a role, an id and an address of ours', () => {
    const config = check({ device: ['memif:/run/a:b.sock'], address })
    assert.deepEqual(config.devices, [{ kind: 'memif', name: '/run/a:b.sock' }])
    assert.deepEqual([config.memif, config.hostAddress], [{ role: 'client', id: 0 }, ''])
    const device = ['memif:@vpp']
    const last = check({ device, address, memifId: '4294967295' })
    assert.equal(last.memif.id, 0xffffffff)
    assert.throws(() => check({ device, address, memifId: '4294967296' }), ConfigError)
    const other = check({ device, address, memifRole: 'server', memifId: '7' })
    assert.deepEqual([other.devices[0].name, other.memif], ['@vpp', { role: 'server', id: 7 }])
    assert.throws(() => check({ device }), UserError)
    assert.throws(() => check({ device, address, hostAddress: '192.168.7.1' }), UserError)
    assert.throws(() => check({ address, memifId: '1' }), UserError)
    assert.throws(() => check({ device: ['tap', 'memif:/x'], address }), ConfigError)
    for (const name of ['', '@', 'x'.repeat(108)])
      assert.throws(() => check({ device: [`memif:${name}`], address }), ConfigError)
  })
})

describe('busy polling', () => {
  test('is for xdp, also beside others', () => {
    assert.equal(check({ device: ['xdp:web0'] }).busyPollUs, 0)
    assert.equal(check({ device: ['xdp:web0'], busyPoll: '20' }).busyPollUs, 20)
    assert.equal(check({ device: ['packet:web0', 'xdp:web1'], busyPoll: '1000' }).busyPollUs, 1000)
    assert.throws(() => check({ device: ['xdp:web0'], busyPoll: '1001' }), ConfigError)
    for (const device of [[], ['packet:web0'], ['tap']])
      assert.throws(
        () => check(device.length > 0 ? { device, busyPoll: '0' } : { busyPoll: '0' }),
        {
          message: /--busy-poll.*is for xdp.*--device xdp:IF/,
        },
      )
  })
})

describe('a bridge', () => {
  test('has the host’s end, and we an address that is told', () => {
    const bridge = 'br0'
    const config = check({ bridge, address: ['192.168.7.9/24'], gateway: '192.168.7.1' })
    assert.deepEqual(
      [config.bridge, config.address, config.hostAddress],
      ['br0', '192.168.7.9', ''],
    )
    assert.deepEqual([config.gateway, config.mtu], ['192.168.7.1', 0])
    assert.deepEqual(check({ bridge, address6: ['fd99::7'] }).link6.hostAddresses, [])
    for (const useless of [
      {},
      { address: ['192.168.7.9/24'], hostAddress: '192.168.7.8' },
      { address: ['192.168.7.9/24'], device: ['packet:web0'] },
    ])
      assert.throws(() => check({ bridge, ...useless }), UserError)
    assert.throws(() => check({ bridge: 'a/b', address: ['192.168.7.9/24'] }), ConfigError)
  })
})

describe('a VLAN', () => {
  const address = ['192.168.7.9/24']
  test('of a TAP or memif has no end of the host, and we an address that is told', () => {
    const config = check({ vlan: '10', address, gateway: '192.168.7.1' })
    assert.deepEqual(config.devices, [{ kind: 'tap', name: 'sand0' }])
    const { vlan, hostAddress, link6, mtu } = config
    assert.deepEqual([vlan, hostAddress, link6.addresses, mtu], [10, '', [], 0])
    assert.equal(check({ vlan: '4094', bridge: 'br0', address }).vlan, 4094)
    assert.equal(check({ vlan: '1', device: ['memif:/x'], address6: ['fd99::7'] }).vlan, 1)
    for (const useless of [{}, { address, hostAddress: '192.168.7.8' }])
      assert.throws(() => check({ vlan: '10', ...useless }), UserError)
  })
  test('of an interface is one itself, and is named', () => {
    for (const kind of ['packet', 'xdp']) {
      const device = [`${kind}:eth0`]
      const what = new RegExp(
        `--vlan: .*ip link add link eth0 name eth0\\.10 type vlan id 10.*--device ${kind}:eth0\\.10$`,
      )
      assert.throws(() => check({ vlan: '10', device }), what)
      assert.throws(() => check({ vlan: '10', address, device: ['tap', ...device] }), what)
    }
  })
  test('that cannot be is the one thing told of it', () => {
    assert.deepEqual(
      findProblems({ root, vlan: '0' }).map(({ what }) => what),
      ['--vlan 0'],
    )
  })
})

describe('several devices', () => {
  const device = ['packet:web0', 'xdp:web1']
  test('have the addresses and MTUs of their interfaces', () => {
    const { devices, address, mtu, link6 } = check({ device })
    assert.deepEqual(devices, [
      { kind: 'packet', name: 'web0' },
      { kind: 'xdp', name: 'web1' },
    ])
    assert.deepEqual([address, mtu, link6.addresses], ['', 0, []])
  })
  test('and what is said of addresses is the TAP’s, if there is one', () => {
    const config = check({ device: [...device, 'tap:web2'], address: ['10.99.0.7/24'] })
    assert.deepEqual([config.address, config.hostAddress], ['10.99.0.7', '10.99.0.1'])
    assert.throws(() => check({ device, address: ['10.99.0.7/24'] }), UserError)
    assert.throws(() => check({ device, address6: ['fd99::7'] }), UserError)
  })
})

describe('IPv6', () => {
  const link6 = (flags: Omit<ServeFlags, 'root'>): string[][] => {
    const { addresses, hostAddresses } = check(flags).link6
    return [[...addresses], [...hostAddresses]]
  }
  test('is not there where the IPv4 address was chosen, or packets are too small', () => {
    assert.deepEqual(link6({ address: ['192.168.50.7/24'] }), [[], []])
    assert.deepEqual(link6({ mtu: '1279' }), [[], []])
    assert.deepEqual(link6({ device: ['kernel'] }), [[], []])
    const both = { address: ['192.168.50.7/24'], address6: ['fd00::9'], mtu: '1280' }
    assert.deepEqual(link6(both), [['fd00::9/64'], ['fd00::1/64']])
  })
  test('gives the host the first other address of each subnet, but no link-local one', () => {
    assert.deepEqual(link6({ address6: ['fd00::1/64'] })[1], ['fd00::2/64'])
    const several = ['fd00::1/64', 'fd00::2/64', 'fd00:0:0:1::ff/120', 'fe80::2']
    assert.deepEqual(link6({ address6: several })[1], ['fd00::3/64', 'fd00:0:0:1::1/120'])
    assert.deepEqual(link6({ address6: ['fd00::/127'] })[1], ['fd00::1/127'])
    assert.deepEqual(link6({ hostAddress6: ['fd77::99'] })[1], ['fd77::99/64'])
  })
  test('takes at most 14 addresses', () => {
    const many = Array.from({ length: 14 }, (_, i) => `fd00::${i + 1}`)
    assert.equal(link6({ address6: many })[0].length, 14)
    assert.throws(() => link6({ address6: [...many, 'fd00::99'] }), /fd00::99\/64: too many/)
  })
})

describe('the host address', () => {
  for (const [address, host] of [
    ['10.77.0.2/24', '10.77.0.1'],
    ['10.77.0.1/24', '10.77.0.2'],
    ['192.168.7.200', '192.168.7.1'],
    ['172.16.5.9/30', '172.16.5.10'],
    ['172.16.5.8/31', '172.16.5.9'],
    ['172.16.5.9/31', '172.16.5.8'],
    ['10.1.2.3/8', '10.0.0.1'],
  ] as const)
    test(`of ${address} is ${host}, the first other usable one`, () => {
      assert.equal(check({ address: [address] }).hostAddress, host)
    })
  test('is always another usable address of the same subnet', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        fc.integer({ min: 8, max: 31 }),
        prefix,
      ),
    )
  })
})

function prefix(address: number, prefixLen: number): void {
  let config: ReturnType<typeof checkConfig>
  try {
    config = check({ address: [`${formatIpv4(address)}/${prefixLen}`] })
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return
  }
  const [first, last] = usableRange(address, prefixLen)
  const host = parseIpv4(config.hostAddress)!
  assert.equal(parseIpv4(config.address), address)
  assert.notEqual(host, address)
  assert.ok(host >= first && host <= last && address >= first && address <= last)
}

const ADMIN = { admin: '127.0.0.1:9077' }
const BAD: [flags: Omit<ServeFlags, 'root'>, flag: string, value: string][] = [
  [{ port: '0' }, '--port', '0'],
  [{ port: '65536' }, '--port', '65536'],
  [{ port: '80x' }, '--port', '80x'],
  [{ port: '-1' }, '--port', '-1'],
  [{ port: '' }, '--port', ''],
  [{ mtu: '575' }, '--mtu', '575'],
  [{ mtu: '9001' }, '--mtu', '9001'],
  [{ mtu: '1500.5' }, '--mtu', '1500.5'],
  [{ memory: '1TiB' }, '--memory', '1TiB'],
  [{ memory: '15MiB' }, '--memory', '15MiB'],
  [{ memory: '2GiB' }, '--memory', '2GiB'],
  [{ memory: 'lots' }, '--memory', 'lots'],
  [{ transmit: 'sendfile' }, '--transmit', 'sendfile'],
  [{ replicas: '0' }, '--replicas', '0'],
  [{ replicas: '1025' }, '--replicas', '1025'],
  [{ cc: 'bbr' }, '--cc', 'bbr'],
  [{ fault: '' }, '--fault', ''],
  [{ workers: '0' }, '--workers', '0'],
  [{ workers: '33' }, '--workers', '33'],
  [{ workers: 'two' }, '--workers', 'two'],
  [{ connections: '0' }, '--connections', '0'],
  [{ connections: '16000001' }, '--connections', '16000001'],
  [{ connections: '64k' }, '--connections', '64k'],
  [{ spin: '1001' }, '--spin', '1001'],
  [{ rxBatch: '0' }, '--rx-batch', '0'],
  [{ rxBatch: '65' }, '--rx-batch', '65'],
  [{ txDelay: '-1' }, '--tx-delay', '-1'],
  [{ txDelay: '1001' }, '--tx-delay', '1001'],
  [{ vlan: '0' }, '--vlan', '0'],
  [{ vlan: '4095' }, '--vlan', '4095'],
  [{ vlan: '10.1' }, '--vlan', '10.1'],
  [{ cpus: '' }, '--cpus', ''],
  [{ cpus: '3-1' }, '--cpus', '3-1'],
  [{ cpus: '0,,1' }, '--cpus', '0,,1'],
  [{ cpus: '1024' }, '--cpus', '1024'],
  [{ device: ['tap', 'tap:web1'] }, '--device', 'tap:web1'],
  [{ device: ['packet:web0', 'xdp:web0'] }, '--device', 'xdp:web0'],
  [{ device: ['packet:web0', 'kernel'] }, '--device', 'kernel'],
  [{ device: ['auto', 'packet:web0'] }, '--device', 'auto'],
  [{ listing: 'xml' }, '--listing', 'xml'],
  [{ spa: 'none.html' }, '--spa', 'none.html'],
  [{ spa: '../x' }, '--spa', '../x'],
  [{ spa: '' }, '--spa', ''],
  [{ compress: '' }, '--compress', ''],
  [{ compress: 'gzip,lzma' }, '--compress', 'lzma'],
  [{ cacheControl: 'a\nb' }, '--cache-control', 'a\nb'],
  [{ cors: 'example.org' }, '--cors', 'example.org'],
  [{ cors: 'https://example.org/' }, '--cors', 'https://example.org/'],
  [{ admin: '9077' }, '--admin', '9077'],
  [{ admin: 'localhost:9077' }, '--admin', 'localhost:9077'],
  [{ admin: '127.0.0.1:0' }, '--admin', '127.0.0.1:0'],
  [{ ...ADMIN, adminHost: ['web1:9077'] }, '--admin-host', 'web1:9077'],
  [{ ...ADMIN, adminHost: ['*.example.org'] }, '--admin-host', '*.example.org'],
  [{ ...ADMIN, adminHost: ['web1', ''] }, '--admin-host', ''],
  [{ admin: '::1:9077' }, '--admin', '::1:9077'],
  [{ admin: '[127.0.0.1]:9077' }, '--admin', '[127.0.0.1]:9077'],
  [{ accessLog: '' }, '--access-log', ''],
  [{ accessLog: '/no/such/folder/x' }, '--access-log', '/no/such/folder/x'],
  [{ accessLog: '-', logFormat: 'xml' }, '--log-format', 'xml'],
  [{ logLevel: 'trace' }, '--log-level', 'trace'],
  [{ pcap: '' }, '--pcap', ''],
  [{ pcap: '/no/such/folder/x.pcapng' }, '--pcap', '/no/such/folder/x.pcapng'],
  [{ pcap: root }, '--pcap', root],
  [{ device: ['eth0'] }, '--device', 'eth0'],
  [{ device: [''] }, '--device', ''],
  [{ device: ['tap:'] }, '--device', 'tap:'],
  [{ device: ['tap:..'] }, '--device', 'tap:..'],
  [{ device: ['tap:sixteen-bytes-xx'] }, '--device', 'tap:sixteen-bytes-xx'],
  [{ device: ['tap:äöüäöüäö'] }, '--device', 'tap:äöüäöüäö'],
  [{ device: ['tap:a/b'] }, '--device', 'tap:a/b'],
  [{ device: ['tap:sand%d'] }, '--device', 'tap:sand%d'],
  [{ device: ['packet'] }, '--device', 'packet'],
  [{ device: ['packet:'] }, '--device', 'packet:'],
  [{ device: ['xdp:a/b'] }, '--device', 'xdp:a/b'],
  [{ device: ['packet:web0'], address: ['10.99.0.7/33'] }, '--address', '10.99.0.7/33'],
  [{ device: ['kernel:x'] }, '--device', 'kernel:x'],
  [{ device: ['auto:x'] }, '--device', 'auto:x'],
  [{ address: ['10.77.0.256/24'] }, '--address', '10.77.0.256/24'],
  [{ address: ['10.77.0/24'] }, '--address', '10.77.0/24'],
  [{ address: ['010.77.0.2/24'] }, '--address', '010.77.0.2/24'],
  [{ address: ['10.77.0.2/33'] }, '--address', '10.77.0.2/33'],
  [{ address: ['10.77.0.2/32'] }, '--address', '10.77.0.2/32'],
  [{ device: ['memif:@vpp'], address: ['10.77.0.2/32'] }, '--address', '10.77.0.2/32'],
  [{ address: ['10.77.0.2/'] }, '--address', '10.77.0.2/'],
  [{ address: ['10.77.0.0/24'] }, '--address', '10.77.0.0/24'],
  [{ address: ['10.77.0.255/24'] }, '--address', '10.77.0.255/24'],
  [{ address: ['127.0.0.1/8'] }, '--address', '127.0.0.1/8'],
  [{ address: ['224.0.0.5/24'] }, '--address', '224.0.0.5/24'],
  [{ address: ['0.0.0.1/24'] }, '--address', '0.0.0.1/24'],
  [{ address: ['fd77::2/64'] }, '--address', 'fd77::2/64'],
  [{ hostAddress: '10.77.0.2' }, '--host-address', '10.77.0.2'],
  [{ hostAddress: '10.77.1.1' }, '--host-address', '10.77.1.1'],
  [{ hostAddress: '10.77.0.255' }, '--host-address', '10.77.0.255'],
  [{ hostAddress: '10.77.0.1/16' }, '--host-address', '10.77.0.1/16'],
  [{ hostAddress: 'gateway' }, '--host-address', 'gateway'],
  [{ address: ['10.77.0.2', '10.77.0.2/16'] }, '--address', '10.77.0.2'],
  [{ address: ['10.77.0.2', '10.77.0.1'] }, '--address', '10.77.0.1'],
  [{ address: ['10.77.0.2', '10.77.0.255'] }, '--address', '10.77.0.255'],
  [{ address: ['10.77.0.2', '10.78.0.2/33'] }, '--address', '10.78.0.2/33'],
  [
    { address: Array.from({ length: 17 }, (_, i) => `10.77.0.${i + 2}`) },
    '--address',
    '10.77.0.18',
  ],
  [{ gateway: 'router' }, '--gateway', 'router'],
  [{ gateway: '10.77.0.1/24' }, '--gateway', '10.77.0.1/24'],
  [{ gateway: '10.77.0.2' }, '--gateway', '10.77.0.2'],
  [{ gateway: '10.77.1.1' }, '--gateway', '10.77.1.1'],
  [{ gateway: '10.77.0.255' }, '--gateway', '10.77.0.255'],
  [{ address6: ['10.77.0.2/24'] }, '--address6', '10.77.0.2/24'],
  [{ address6: ['fd77::2/129'] }, '--address6', 'fd77::2/129'],
  [{ address6: ['fd77::2/128'] }, '--address6', 'fd77::2/128'],
  [{ address6: ['fd77::2/'] }, '--address6', 'fd77::2/'],
  [{ address6: ['fd77::2%sand0'] }, '--address6', 'fd77::2%sand0'],
  [{ address6: ['fd77::/64'] }, '--address6', 'fd77::/64'],
  [{ address6: ['ff02::1'] }, '--address6', 'ff02::1'],
  [{ address6: ['::1'] }, '--address6', '::1'],
  [{ address6: ['::ffff:10.0.0.1'] }, '--address6', '::ffff:10.0.0.1'],
  [{ address6: ['fd77::2', 'fd77:0::2/64'] }, '--address6', 'fd77::2/64'],
  [{ hostAddress6: ['fd77::2'] }, '--host-address6', 'fd77::2'],
  [{ hostAddress6: ['fd78::1'] }, '--host-address6', 'fd78::1'],
  [{ hostAddress6: ['fd77::1/48'] }, '--host-address6', 'fd77::1/48'],
  [{ hostAddress6: ['host'] }, '--host-address6', 'host'],
  [{ gateway6: 'fd78::1' }, '--gateway6', 'fd78::1'],
  [{ gateway6: 'fd77::2' }, '--gateway6', 'fd77::2'],
  [{ gateway6: 'fd77::1/64' }, '--gateway6', 'fd77::1/64'],
  [{ address6: ['fd77::2'], mtu: '1000' }, '--mtu', '1000'],
  [{ gateway6: 'fd77::1', mtu: '1279' }, '--mtu', '1279'],
  [{ device: ['kernel'], address: ['localhost'] }, '--address', 'localhost'],
]

describe('a refusal names the flag, the value and what was expected', () => {
  for (const [flags, flag, value] of BAD)
    test(`${flag} "${value}"`, () => {
      assert.throws(
        () => check(flags),
        (error: unknown) => {
          assert.ok(error instanceof ConfigError, String(error))
          assert.equal(error.flag, flag)
          assert.equal(error.value, value)
          assert.ok(error.expected.length > 0)
          assert.ok(error.message.includes(flag) && error.message.includes(value))
          return true
        },
      )
    })
})

describe('a folder is served as the flags say', () => {
  const site = (flags: Omit<ServeFlags, 'root'>): Partial<Site> => {
    const [one] = check(flags).sites
    const changed = Object.entries(one).filter(
      ([key, value]) => !isDeepStrictEqual(value, plain[key as keyof Site]),
    )
    return Object.fromEntries(changed)
  }
  const plain = plainSite(root)
  writeFileSync(join(root, 'app.html'), '')
  const everywhere = (headers: Record<string, string>): Partial<Site> => ({
    rules: [{ match: '**', headers }],
  })
  for (const [flags, expected] of [
    [{}, {}],
    [{ listing: 'json' }, { listing: 'json' }],
    [{ spa: '/app.html' }, { fallback: '/app.html' }],
    [{ spa: 'app.html' }, { fallback: '/app.html' }],
    [{ cleanUrls: true }, { cleanUrls: true }],
    [{ compress: 'br,gzip,br' }, { compress: ['br', 'gzip'] }],
    [{ serverHeader: true }, {}],
    [{ serverHeader: false }, { serverName: '' }],
    [{ cacheControl: 'no-cache' }, everywhere({ 'Cache-Control': 'no-cache' })],
    [{ cors: '*' }, everywhere({ 'Access-Control-Allow-Origin': '*' })],
  ] as const)
    test(JSON.stringify(flags), () => assert.deepEqual(site(flags), expected))
  test('and so is each site of a file, over what the file says', () => {
    const rule = { match: '*.css', headers: { 'Cache-Control': 'max-age=9' } }
    const sites = [{ ...plain, listing: 'html' as const, rules: [rule] }, plain]
    const { sites: changed } = checkConfig({ sites, listing: 'off', cacheControl: 'no-store' })
    assert.deepEqual(
      changed.map(({ listing, rules }) => [listing, rules.length, rules.at(-1)?.match]),
      [
        ['off', 2, '**'],
        ['off', 1, '**'],
      ],
    )
  })
})

describe('how a server is watched', () => {
  test('is told by flags', () => {
    const config = check({
      accessLog: join(root, 'access.log'),
      logFormat: 'json',
      logLevel: 'debug',
      admin: '[::1]:9077',
      adminHost: ['Web1.example.org', 'mon.'],
    })
    assert.deepEqual(config.accessLog, { path: join(root, 'access.log'), format: 'json' })
    const hosts = ['web1.example.org', 'mon']
    assert.deepEqual(config.admin, { address: '::1', port: 9077, hosts })
    assert.equal(config.logLevel, 'debug')
    assert.deepEqual(check({ accessLog: '-' }).accessLog, { path: '-', format: 'combined' })
    const loopback = { address: '127.0.0.1', port: 1, hosts: [] }
    assert.deepEqual(check({ admin: '127.0.0.1:1' }).admin, loopback)
  })
  test('and a name of the admin server needs one', () => {
    assert.throws(() => check({ adminHost: ['web1'] }), /^UserError: --admin-host: .*Give --admin/)
  })
  test('and a format needs a log', () => {
    assert.throws(() => check({ logFormat: 'json' }), UserError)
  })
})

test('all problems are found, and the first is what checkConfig throws', () => {
  const bad = { root: '', port: '0', mtu: '1', memory: 'x', address: ['1'], logLevel: 'loud' }
  const messages = findProblems(bad).map(({ message }) => message)
  assert.deepEqual(
    messages.map(message => message.split(' ')[0]),
    ['--port', '--mtu', 'DIR', '--address', '--memory', '--log-level'],
  )
  assert.throws(() => checkConfig(bad), { message: messages[0] })
  assert.deepEqual(findProblems({ root }), [])
})

test('all that is wrong on the kernel’s stack is found, and not its flags alone', () => {
  const bad = {
    root,
    device: ['kernel'],
    trace: true,
    vlan: '10',
    bridge: 'br0',
    logFormat: 'json',
  }
  assert.deepEqual(
    findProblems(bad).map(({ what }) => what),
    ['--trace', '--bridge', '--vlan', '--log-format'],
  )
})

describe('the folder', () => {
  const refusal = (path: string): string => {
    try {
      checkConfig({ root: path })
    } catch (error) {
      assert.ok(error instanceof ConfigError)
      return error.message
    }
    throw new Error('was not refused')
  }
  test('must be there', () => assert.match(refusal(join(root, 'none')), /not there/))
  test('must be given', () => assert.match(refusal(''), /nothing given/))
  test('must be a folder', () => {
    const file = join(root, 'file')
    writeFileSync(file, '')
    assert.match(refusal(file), /not a folder/)
  })
  test('must be readable', () => {
    const closed = mkdtempSync(join(tmpdir(), 'sandstorm-closed-'))
    chmodSync(closed, 0)
    // Root may read everything, so the child steps down once its modules are loaded.
    const script = `
      import { checkConfig } from '${new URL('../src/config.js', import.meta.url)}'
      if (process.getuid() === 0) process.setuid(65534)
      try { checkConfig({ root: '${closed}' }) } catch (error) { console.log(error.message) }`
    const args = ['--input-type=module', '-e', script]
    const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' })
    rmSync(closed, { recursive: true })
    assert.match(stdout, /cannot be read \(EACCES\)/)
  })
  test('becomes an absolute path', () => {
    assert.equal(checkConfig({ root: '.' }).sites[0].root, process.cwd())
  })
})

describe('sizes', () => {
  for (const [text, bytes] of [
    ['1GiB', 2 ** 30],
    ['512MiB', 2 ** 29],
    ['300M', 300 * 2 ** 20],
    ['1.5g', 1.5 * 2 ** 30],
    ['64k', 65536],
    ['1GB', 1e9],
    ['20000000', 20000000],
    ['0', 0],
    ['', Number.NaN],
    ['GiB', Number.NaN],
    ['1 GiB', Number.NaN],
    ['-1', Number.NaN],
    ['1e9', Number.NaN],
    ['.5G', Number.NaN],
    ['1GiBB', Number.NaN],
    ['1constructor', Number.NaN],
    ['9007199254740993', Number.NaN],
  ] as const)
    test(`"${text}" is ${bytes}`, () => assert.equal(parseSize(text), bytes))

  test('what formatSize writes, parseSize reads back', () => {
    fc.assert(fc.property(fc.maxSafeNat(), bytes => parseSize(formatSize(bytes)) === bytes))
  })
  test('a unit multiplies', () => {
    const units = { K: 1024, MiB: 2 ** 20, gb: 1e9, kB: 1000, b: 1 }
    fc.assert(
      fc.property(
        fc.nat(1e6),
        fc.constantFrom(...Object.entries(units)),
        (count, [unit, scale]) => parseSize(`${count}${unit}`) === count * scale,
      ),
    )
  })
  test('any text gives a whole number of bytes or NaN', () => {
    const text = fc.oneof(fc.string(), fc.stringMatching(/^[0-9.]{1,20}[a-zA-Z]{0,4}$/))
    fc.assert(
      fc.property(text, value => {
        const bytes = parseSize(value)
        return Number.isNaN(bytes) || (Number.isSafeInteger(bytes) && bytes >= 0)
      }),
    )
  })
})

test('any text in any flag gives a configuration that can be cloned, or one line and exit code 2', () => {
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[0-9./:a-z]{0,12}$/))
  const flags = fc.record(
    {
      device: fc.array(text, { minLength: 1, maxLength: 3 }),
      address: fc.array(text, { maxLength: 2 }),
      hostAddress: text,
      port: text,
      mtu: text,
      memory: text,
      transmit: text,
      replicas: text,
      cc: text,
      fault: text,
      workers: text,
      connections: text,
      cpus: text,
      spin: text,
      rxBatch: text,
      txDelay: text,
      busyPoll: text,
      memifRole: text,
      memifId: text,
      bridge: text,
      vlan: text,
      spa: text,
      compress: text,
      cacheControl: text,
      cors: text,
      admin: text,
      adminHost: fc.array(text, { maxLength: 2 }),
      accessLog: text,
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(flags, given => {
      try {
        const config = check(given)
        assert.deepEqual(structuredClone(config), config)
      } catch (error) {
        assert.ok(error instanceof UserError, String(error))
        const { line, exitCode } = failureOf(error)
        assert.equal(exitCode, 2)
        assert.doesNotMatch(line, /\p{Cc}/u)
      }
    }),
    { numRuns: 2000 },
  )
})
