/**
 * DPDK's testpmd as a bridge between an interface of the kernel's and a memif socket: what comes on
 * one goes out by the other, unchanged. So clients of the kernel reach whoever is at the socket,
 * through an implementation of memif that is not ours.
 */
import type { ChildProcess } from 'node:child_process'
import { collect, start } from './command.ts'
import type { Namespace } from './namespace.ts'

export interface BridgeOptions {
  readonly namespace: Namespace
  /** The interface of the kernel's, up. */
  readonly interfaceName: string
  readonly socket: string
  /** testpmd's role at the socket. */
  readonly role: 'client' | 'server'
  readonly queues?: number
}

const READY_LIMIT_MS = 20_000
let started = 0

export class Testpmd {
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>

  private constructor(child: ChildProcess) {
    this.#child = child
    this.#ended = new Promise(resolve => child.once('close', resolve))
  }

  /** Forwards when it settles. */
  static async bridge(options: BridgeOptions): Promise<Testpmd> {
    const { namespace, interfaceName, socket, role, queues = 1 } = options
    const memif = `net_memif0,role=${role},socket=${socket},socket-abstract=no,bsize=2048`
    const kernel = `net_af_packet0,iface=${interfaceName},qpairs=${queues},blocksz=4096,framesz=2048`
    // A line at a time, lest we wait for what lies in its buffer.
    const argv = [
      'stdbuf',
      '-oL',
      'dpdk-testpmd',
      '--no-huge',
      '--no-pci',
      '--no-telemetry',
      '-m',
      '256',
      '-l',
      '0,1',
    ]
    argv.push(
      `--file-prefix=sand-${process.pid}-${started++}`,
      `--vdev=${memif}`,
      `--vdev=${kernel}`,
    )
    argv.push('--', '--forward-mode=io', '--auto-start', '--total-num-mbufs=16384')
    argv.push(`--rxq=${queues}`, `--txq=${queues}`)
    const child = start(argv, { namespace, keepsInput: true })
    const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)]
    const testpmd = new Testpmd(child)
    for (let ms = 0; !/^Press enter to exit$/m.test(stdout()); ms += 50) {
      if (ms > READY_LIMIT_MS || child.exitCode !== null) {
        await testpmd.kill()
        throw new Error(`testpmd is not ready\n${stdout()}\n${stderr()}`)
      }
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    return testpmd
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }
}
