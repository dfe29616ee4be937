/** What `load` takes for a plan, what it refuses, and what its request is. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { UserError } from '../src/cli/errors.ts'
import { checkLoad, type LoadCommandFlags } from '../src/load/plan.ts'

const URL = 'http://10.77.0.1:8080/a?b'

describe('a plan', () => {
  it('has 64 connections, ten seconds and the kernel by default', () => {
    const plan = checkLoad(URL, {})
    const { connections, requests, durationUs, rate, threads, keepAlive, device, sources } = plan
    assert.deepEqual([connections, requests, durationUs, rate, threads], [64, 0, 10e6, 0, 1])
    assert.deepEqual([keepAlive, device.kind, sources], [false, 'kernel', []])
  })

  it('asks for what the URL says', () => {
    const { target, request } = checkLoad(URL, {})
    assert.deepEqual([target.host, target.port, target.path], ['10.77.0.1', 8080, '/a?b'])
    assert.equal(
      request,
      'GET /a?b HTTP/1.1\r\nHost: 10.77.0.1:8080\r\nUser-Agent: sandstorm-load\r\n' +
        'Accept: */*\r\nConnection: close\r\n\r\n',
    )
  })

  it('takes a URL without scheme, port and path, and an IPv6 address', () => {
    assert.equal(checkLoad('example.org', {}).target.url, 'http://example.org/')
    const { target, request } = checkLoad('http://[::1]:81', {})
    assert.deepEqual([target.host, target.port], ['::1', 81])
    assert.match(request, /\r\nHost: \[::1\]:81\r\n/)
  })

  it('lets fields be added, and those that are there be others', () => {
    const header = ['Accept-Encoding:gzip', 'host: other.example']
    const { request } = checkLoad(URL, { header, keepAlive: true })
    assert.match(request, /\r\nAccept-Encoding: gzip\r\nhost: other\.example\r\nConnection: keep-/)
    assert.doesNotMatch(request, /10\.77/)
  })

  it('has the sources for addresses, in the subnet of the address', () => {
    const own = { device: 'tap', source: '10.7.0.4-10.7.0.6' }
    const { link4, sources } = checkLoad('http://10.7.0.1/', { ...own, address: ['10.7.0.9/16'] })
    assert.deepEqual(sources, ['10.7.0.4', '10.7.0.5', '10.7.0.6'])
    assert.equal(`${link4.address}/${link4.prefixLen}`, '10.7.0.4/16')
    assert.equal(link4.hostAddress, '10.7.0.1')
    assert.deepEqual(
      link4.others.map(({ address }) => address),
      ['10.7.0.5', '10.7.0.6', '10.7.0.9'],
    )
  })

  it('has an IPv6 address for a server that has one, and no other', () => {
    const { link4, link6 } = checkLoad('http://[fd77::1]/', { device: 'tap' })
    assert.deepEqual([link4.address, link4.others], ['', []])
    assert.deepEqual([link6.addresses, link6.hostAddresses], [['fd77::2/64'], ['fd77::1/64']])
    assert.deepEqual(checkLoad(URL, { device: 'tap' }).link6.addresses, [])
  })
})

describe('a plan in a VLAN', () => {
  it('has all its IPv6 addresses for sources', () => {
    const address6 = ['fd77::10/64', 'fd77::11/64']
    const plan = checkLoad('http://[fd77::1]/', { device: 'tap', connections: '100000', address6 })
    assert.deepEqual(plan.sources, address6)
  })

  it('has no end of the host, and needs an address, or sources', () => {
    const own = { device: 'tap', vlan: '10', address: ['10.7.0.1/24'] }
    const { vlan, link4 } = checkLoad(URL, own)
    assert.deepEqual([vlan, link4.address, link4.hostAddress], [10, '10.7.0.1', ''])
    assert.equal(checkLoad(URL, { device: 'tap', vlan: '10', source: '10.7.0.1' }).vlan, 10)
    assert.equal(checkLoad(URL, { device: 'tap' }).vlan, 0)
  })
})

const URL6 = 'http://[fd77::1]/'
const OWN_END = { address: ['10.7.0.2/24'], hostAddress: '10.7.0.1' }
const OWN_END6 = { address6: ['fd77::2/64'], hostAddress6: ['fd77::1'] }
const REFUSED: readonly (readonly [url: string, flags: LoadCommandFlags, line: RegExp])[] = [
  ['https://a.example/', {}, /^URL https:.*: only http is spoken\. /],
  ['http://u:p@a.example/', {}, /^URL .*: has a user name\. /],
  ['http://a b/', {}, /^URL .*: not a URL\. /],
  [URL, { connections: '0' }, /^-c 0: out of range\. Expected a number from 1 to 100000/],
  [URL, { connections: '100001' }, /^-c 100001: out of range/],
  [URL, { requests: '0' }, /^-n 0: out of range/],
  [URL, { requests: '5', duration: '5' }, /^-n: and -d do not go together/],
  [URL, { duration: '0' }, /^-d 0: out of range/],
  [URL, { duration: '1m' }, /^-d 1m: not a number of seconds/],
  [URL, { timeout: '601' }, /^--timeout 601: out of range/],
  [URL, { rate: '0' }, /^--rate 0: out of range/],
  [URL, { threads: '2', connections: '1' }, /^-t 2: more threads than connections/],
  [URL, { threads: '4', requests: '3' }, /^-n 3: fewer requests than threads/],
  [URL, { device: 'auto' }, /^--device auto: a choice is needed/],
  [URL, { device: 'eth0' }, /^--device eth0: no such device/],
  [URL, { device: 'packet:eth0' }, /^--device packet: needs an address of ours/],
  [URL, { address: ['10.77.0.2'] }, /^--address: works on our own stack/],
  [URL, { mtu: '1500' }, /^--mtu: works on our own stack/],
  [URL, { vlan: '10' }, /^--vlan: works on our own stack/],
  [URL, { device: 'tap', vlan: '0' }, /^--vlan 0: out of range/],
  [URL, { device: 'tap', vlan: '10' }, /^--vlan: needs an address of ours/],
  [URL, { device: 'tap', vlan: '10', ...OWN_END }, /^--host-address: is the host's end of a TAP/],
  [
    URL6,
    { device: 'tap', vlan: '10', ...OWN_END6 },
    /^--host-address6: is the host's end of a TAP/,
  ],
  [URL, { device: 'memif:/x', ...OWN_END }, /^--host-address: is the host's end of a TAP/],
  [URL, { device: 'xdp:eth0', vlan: '9' }, /^--vlan: is for .*ip link add link eth0 name eth0\.9 /],
  [URL, { device: 'tap', mtu: '100' }, /^--mtu 100: out of range/],
  [URL, { source: '10.0.0.9-10.0.0.1' }, /^--source 10.0.0.9-10.0.0.1: not a range/],
  [
    URL6,
    { device: 'tap', source: 'fd77::10-fd77::13' },
    /^--source fd77::10-fd77::13: has IPv4 addresses only\. Give each IPv6 address .* --address6$/,
  ],
  [URL, { source: '::1' }, /^--source ::1: has IPv4 .* --address6, on our own stack$/],
  [URL, { source: 'x' }, /^--source x: not a range/],
  [URL, { device: 'tap', source: '10.77.0.2-10.77.0.18' }, /^--source .*: too many\. Expected 16/],
  [URL, { device: 'tap', source: '127.0.0.1' }, /^--source 127.0.0.1: no host on a link has that/],
  [URL, { device: 'tap', connections: '70000' }, /^-c 70000: an address of ours has 64512 ports/],
  [
    URL,
    { device: 'tap', connections: '64001', threads: '2' },
    /^-c 64001: an address of ours has 64000 ports/,
  ],
  [URL, { address6: ['fd77::2'] }, /^--address6: works on our own stack/],
  [URL, { device: 'tap', address6: ['fd77::2'] }, /^--address6: is for IPv6, and the server’s/],
  [URL6, { device: 'tap', address: ['10.7.0.2'] }, /^--address: is for IPv4, and the server’s/],
  [URL6, { device: 'tap', connections: '70000' }, /Expected more addresses with --address6$/],
  [
    URL6,
    { device: 'tap', source: '10.77.0.3' },
    /^--source: is for IPv4, and the server’s .* --address6$/,
  ],
  [URL6, { device: 'packet:eth1' }, /^--device packet: needs an IPv6 address of ours/],
  [URL6, { device: 'tap', address6: ['fd77'] }, /^--address6 fd77: not an IPv6 address/],
  [URL, { header: ['no colon'] }, /^--header no colon: not a field/],
  [URL, { header: ['A: b\r\nC: d'] }, /^--header .*: not a field/s],
  [URL, { header: ['Content-Length: 5'] }, /^--header .*: that field is ours/],
  [URL, { header: [`A: ${'b'.repeat(17_000)}`] }, /^--header .*: too much/],
]

describe('refused in one clear line:', () => {
  for (const [url, flags, line] of REFUSED) {
    it(`${url} ${JSON.stringify(flags).slice(0, 60)}`, () => {
      assert.throws(
        () => checkLoad(url, flags),
        error => error instanceof UserError && line.test(error.message),
      )
    })
  }
})
