/**
 * The system layer where no privilege is needed: errors, prefixes, netlink's grammar, lazy loading.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { networkInterfaces } from 'node:os'
import { test } from 'node:test'
import fc from 'fast-check'
import { SysError } from '../src/index.ts'
import { boxed, cString, libc } from '../src/sys/libc.ts'
import { addAddress, listAddresses, listLinks } from '../src/sys/links.ts'
import { attributes, stringOf, u32, u32Of } from '../src/sys/netlink.ts'
import { overlaps, type Prefix, parsePrefix, prefixText } from '../src/sys/prefix.ts'
import { hasNetAdmin, kernelRelease, koffiProblem, tunProblem } from '../src/sys/probe.ts'
import { missingRights, RIGHTS } from '../src/sys/rights.ts'
import { unless } from './privileges.ts'

const needsKoffi = unless(koffiProblem())
const prefix = (text: string): Prefix => {
  const parsed = parsePrefix(text)
  assert.ok(parsed !== undefined, text)
  return parsed
}

test('importing the package loads no native code, the first use does', needsKoffi, () => {
  const index = new URL('../src/index.js', import.meta.url).href
  const code = `import { createRequire } from 'node:module'
    const loaded = () => Object.keys(createRequire('${index}').cache).some(f => f.includes('koffi'))
    const { koffiProblem } = await import('${index}')
    console.log(loaded(), koffiProblem() === '', loaded())`
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', code], {
    encoding: 'utf8',
  })
  assert.equal(out.trim(), 'false true true')
})

test('a SysError is one line: what, why, what to do', () => {
  const error = new SysError('open /dev/net/tun', 2, 'load the driver')
  assert.equal(
    error.message,
    'open /dev/net/tun: no such file or directory (ENOENT): load the driver',
  )
  assert.deepEqual([error.errno, error.code, error.hint], [2, 'ENOENT', 'load the driver'])
  assert.match(new SysError('read', 77).message, /^read: .*\(EBADFD\)$/)
  assert.match(new SysError('read', 4000).message, /^read: unknown error \(errno 4000\)$/)
})

test('libc answers as C does: a result, or -1 and errno', needsKoffi, () => {
  const c = libc()
  assert.equal(c.open('/nonexistent/file', 0), -1)
  assert.equal(c.errno(), 2)
  const bytes = new Uint8Array(new SharedArrayBuffer(64))
  assert.equal(c.addressOf(bytes.subarray(7)), c.addressOf(bytes) + 7)
  assert.equal(libc(), c)
})

test('boxed addresses are the numbers they stand for', () => {
  assert.deepEqual(boxed(2 ** 40, 33, 3), [2 ** 40, 2 ** 40 + 33, 2 ** 40 + 66])
})

test('a C string keeps its closing zero', () => {
  assert.deepEqual([...cString('abc', 5)], [97, 98, 99, 0, 0])
  assert.throws(() => cString('abcd', 4), SysError)
  assert.throws(() => cString('äöü', 6), SysError)
})

test('a prefix is read and written', () => {
  const four = ['10.77.0.1/24', '0.0.0.0/0', '255.255.255.255/32']
  const six = ['fd77::1/64', '::/0', '::1/128', '1:2:3:4:5:6:7:8/127', '2001:db8::/32']
  for (const text of [...four, ...six]) {
    assert.equal(prefixText(prefix(text)), text)
  }
  assert.equal(prefixText(prefix('10.0.0.1')), '10.0.0.1/32')
  const bytes = Uint8Array.of(0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 1)
  assert.equal(prefixText({ bytes, len: 64 }), 'fd77::1001/64')
  assert.equal(prefixText(prefix('FD77:0::1')), 'fd77::1/128')
  assert.deepEqual([...prefix('64:ff9b::10.0.0.1/96').bytes.slice(12)], [10, 0, 0, 1])
  const bad4 = ['', '10.0.0/8', '10.0.0.1/', '10.0.0.1/33', '10.0.0.1/-1', '10.0.0.1/2x']
  for (const text of [...bad4, 'fd77::1/129', 'fd77::1%lo/64', 'fd77:::1', 'fd77/64']) {
    assert.equal(parsePrefix(text), undefined, text)
  }
})

test('prefixes overlap as sets of addresses do', () => {
  const addressOf = (p: Prefix): number => new DataView(p.bytes.buffer).getUint32(0)
  const arbitrary = fc.record({
    bytes: fc.uint8Array({ minLength: 4, maxLength: 4 }).map(bytes => bytes.map(b => b & 0xc1)),
    len: fc.integer({ min: 0, max: 32 }),
  })
  fc.assert(
    fc.property(arbitrary, arbitrary, (a, b) => {
      const size = 2 ** (32 - Math.min(a.len, b.len))
      const same = Math.floor(addressOf(a) / size) === Math.floor(addressOf(b) / size)
      assert.equal(overlaps(a, b), same)
    }),
  )
})

test('broken attributes end the list and read nothing outside', () => {
  assert.equal(u32Of(attributes(Uint8Array.of(8, 0, 4, 0, 1, 2, 3, 4), 0).get(4), 0), 0x04030201)
  assert.equal(stringOf(Uint8Array.of(97, 0, 98)), 'a')
  assert.deepEqual([...u32(1)], [1, 0, 0, 0])
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), bytes => {
      for (const value of attributes(bytes, 0).values()) assert.ok(value.length <= bytes.length)
    }),
  )
})

test('the kernel lists what libuv lists', needsKoffi, () => {
  const ours = listAddresses().map(a => prefixText(a.prefix))
  for (const [name, entries] of Object.entries(networkInterfaces())) {
    assert.ok(
      listLinks().some(link => link.name === name),
      name,
    )
    for (const { family, cidr } of entries ?? []) {
      if (family === 'IPv4') assert.ok(ours.includes(cidr ?? ''), `${name} ${cidr}`)
    }
  }
})

test('a refusal of the kernel is thrown with what was tried', needsKoffi, () => {
  assert.throws(
    () => addAddress(2 ** 30, prefix('10.0.0.1/24')),
    (error: unknown) => error instanceof SysError && /^add address: /.test(error.message),
  )
})

test('the probes give plain facts', () => {
  assert.match(kernelRelease(), /^\d+\./)
  assert.equal(typeof hasNetAdmin(), 'boolean')
  assert.equal(typeof tunProblem(), 'string')
})

test('rights are read from the effective set and no other', () => {
  const admin = ['cap_net_admin']
  assert.deepEqual(missingRights(admin, 'CapEff:\t0000000000001000\n'), [])
  assert.deepEqual(missingRights(admin, 'CapEff:\tffffffffffffefff\n'), admin)
  const status = 'CapPrm:\t0000000000001000\nCapEff:\t0000000000000000\n'
  assert.deepEqual(missingRights(admin, status), admin)
  assert.deepEqual(missingRights(admin, ''), admin)
  // capsh --decode=000000c000007400
  assert.deepEqual(missingRights(RIGHTS.xdp, 'CapEff:\t000000c000007400\n'), [])
  assert.deepEqual(missingRights(RIGHTS.xdp, 'CapEff:\t0000008000003400\n'), [
    'cap_perfmon',
    'cap_ipc_lock',
  ])
})
