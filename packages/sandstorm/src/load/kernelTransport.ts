/**
 * Requests and answers over the kernel's TCP (node:net): on any machine, without privileges, and
 * slower than our own. All sockets read into one buffer, since what comes is looked at at once.
 */
import { connect, type Socket } from 'node:net'
import type { Generator, Transport } from '@sandstorm/loadgen'

export interface KernelTransportOptions {
  readonly connections: number
  readonly address: string
  readonly port: number
  readonly request: Uint8Array
  /** Local addresses, taken in turn; none: the kernel chooses. */
  readonly sources: readonly string[]
  /** Of the first connection among those of all threads. */
  readonly firstNumber: number
}

const BUFFER_BYTES = 262_144
const NO_DESCRIPTORS = 'EMFILE, more files than ulimit -n allows'

export class KernelTransport implements Transport {
  /** Why the last connection that came to nothing did so: ECONNREFUSED; '': all is well. */
  problem = ''
  /** The kernel sees to it. */
  readonly endRoom: number = Number.MAX_SAFE_INTEGER
  readonly #options: KernelTransportOptions
  readonly #nowUs: () => number
  readonly #buffer: Buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES)
  readonly #sockets: (Socket | undefined)[]
  #generator!: Generator

  constructor(options: KernelTransportOptions, nowUs: () => number) {
    this.#options = options
    this.#nowUs = nowUs
    this.#sockets = new Array<Socket | undefined>(options.connections).fill(undefined)
  }

  /** Who hears of its connections. */
  attach(generator: Generator): void {
    this.#generator = generator
  }

  open(i: number): boolean {
    const { address, port, sources, firstNumber } = this.#options
    const source = sources.length === 0 ? undefined : sources[(firstNumber + i) % sources.length]
    const socket: Socket = connect({
      host: address,
      port,
      noDelay: true,
      ...(source === undefined ? {} : { localAddress: source }),
      onread: {
        buffer: this.#buffer,
        callback: (len, bytes) => {
          if (this.#sockets[i] === socket) this.#now().onData(i, bytes, 0, len)
          return true
        },
      },
    })
    this.#sockets[i] = socket
    this.#listen(i, socket)
    return true
  }

  ask(i: number): void {
    this.#sockets[i]?.write(this.#options.request)
  }

  close(i: number): void {
    this.#leave(i)?.destroy()
  }

  abort(i: number): void {
    const socket = this.#leave(i)
    // A reset would wait until there is a connection.
    if (socket?.connecting) socket.destroy()
    else socket?.resetAndDestroy()
  }

  /** Events of a socket that was left are nobody's. */
  #listen(i: number, socket: Socket): void {
    const isOurs = (): boolean => this.#sockets[i] === socket
    socket.on('connect', () => {
      if (isOurs()) this.#now().onOpen(i)
    })
    socket.on('end', () => {
      if (isOurs()) this.#now().onFin(i)
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (!isOurs()) return
      // What is ours to mend is not covered up by what comes of it.
      if (this.problem !== NO_DESCRIPTORS)
        this.problem = error.code === 'EMFILE' ? NO_DESCRIPTORS : (error.code ?? error.message)
      this.#lose(i, error.code === 'ETIMEDOUT')
    })
    socket.on('close', () => {
      if (isOurs()) this.#lose(i, false)
    })
  }

  #lose(i: number, isTimeout: boolean): void {
    this.#leave(i)?.destroy()
    this.#now().onLost(i, isTimeout)
  }

  #leave(i: number): Socket | undefined {
    const socket = this.#sockets[i]
    this.#sockets[i] = undefined
    return socket
  }

  /** The generator, which knows what time it is. */
  #now(): Generator {
    this.#generator.nowUs = this.#nowUs()
    return this.#generator
  }
}

/** Shorter waits are no work for a timer, which is late by a millisecond. */
const TIMER_MIN_US = 1500

/** Runs to the generator's end, or until `isStopped` says so, on this thread's event loop. */
export function driveKernel(
  generator: Generator,
  nowUs: () => number,
  isStopped: () => boolean,
): Promise<void> {
  generator.start(nowUs())
  return new Promise(resolve => {
    const turn = (): void => {
      const now = nowUs()
      generator.poll(now)
      if (isStopped()) generator.finish(now)
      if (generator.hasLeft) {
        resolve()
        return
      }
      const waitUs = generator.waitUs(now)
      if (waitUs < TIMER_MIN_US) setImmediate(turn)
      else setTimeout(turn, Math.floor(waitUs / 1000))
    }
    turn()
  })
}
