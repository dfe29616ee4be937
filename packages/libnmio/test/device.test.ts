/** The device contract, run for the link in memory and for it inside each wrapper. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Device,
  FaultDevice,
  memoryLink,
  NO_FAULTS,
  PcapDevice,
  Region,
  RxBatchDevice,
  TraceDevice,
  TxDelayDevice,
  VirtualClock,
} from '../src/index.ts'
import { devicePeer, deviceSuite, type Pair } from './device.suite.ts'
import { GatherPort } from './gatherPort.ts'
import { inVlan } from './vlanTag.ts'

const content = (): Region => new Region(65536)

function memoryPair(wrap: (port: Device) => Device, body?: Region): Pair {
  const [a, b] = memoryLink({ region: new Region(1 << 24), ringSize: 256 })
  const device = wrap(a)
  return {
    device,
    peer: devicePeer(b),
    ...(body && { content: body }),
    close() {
      device.close()
      b.close()
    },
  }
}

const clock = new VirtualClock().read

/** On a clock that goes on by a microsecond whenever somebody looks. */
function delayed(inner: Device): Device {
  let us = 0
  return new TxDelayDevice(inner, { delayUs: 20, clock: () => us++ })
}

deviceSuite('memory', () => memoryPair(a => a))

deviceSuite('memory, traced', () =>
  memoryPair(a => new TraceDevice(a, { clock, format: () => '', write: () => {} })),
)

deviceSuite('memory, traced, gathering', () => {
  const body = content()
  const wrap = (a: Device): Device =>
    new TraceDevice(new GatherPort(a, body), { clock, format: () => '', write: () => {} })
  return memoryPair(wrap, body)
})

deviceSuite('memory with no faults', () =>
  memoryPair(a => new FaultDevice(a, NO_FAULTS, { clock })),
)

deviceSuite('memory with no faults, gathering', () => {
  const body = content()
  const wrap = (a: Device): Device =>
    new FaultDevice(new GatherPort(a, body), NO_FAULTS, { clock, content: body })
  return memoryPair(wrap, body)
})

deviceSuite('memory, one frame at a time', () => memoryPair(a => new RxBatchDevice(a, 1)))

deviceSuite('memory, sent with a delay', () => memoryPair(delayed))

deviceSuite('memory, sent with a delay, gathering', () => {
  const body = content()
  return memoryPair(a => delayed(new GatherPort(a, body)), body)
})

deviceSuite('memory, recorded', () => {
  const dir = mkdtempSync(join(tmpdir(), 'libnmio-'))
  const body = content()
  const path = join(dir, 'suite.pcapng')
  const wrap = (a: Device): Device =>
    new PcapDevice(new GatherPort(a, body), { path, clock, content: body })
  const pair = memoryPair(wrap, body)
  return {
    ...pair,
    close() {
      pair.close()
      rmSync(dir, { recursive: true })
    },
  }
})

deviceSuite('memory, in a VLAN', () => inVlan(memoryPair(a => a)))

deviceSuite('memory, in a VLAN, gathering', () => {
  const body = content()
  return inVlan(memoryPair(a => new GatherPort(a, body), body))
})
