/**
 * `sandstorm conns`: the connections of running servers, as ss(8) shows the kernel's, or their
 * counters, as nstat(8) does. Exit code 0: at least one server was shown; 2: none.
 */
import { ask, type Found, findInstances } from '../control/client.ts'
import type { Connection } from '../control/connection.ts'
import { KERNEL_DEVICE, type Line } from '../control/protocol.ts'
import { runtimeDir, type Surroundings, surroundings } from '../control/runtimeDir.ts'
import { Columns, summaryText } from './connsTable.ts'
import { countersText } from './countersText.ts'
import { UserError } from './errors.ts'

export interface ConnsFlags {
  readonly json?: boolean
  readonly stats?: boolean
}

/** Where lines go: stdout, and stderr. */
export interface ConnsOutput {
  readonly print: (line: string) => void
  readonly complain: (line: string) => void
}

const OUTPUT: ConnsOutput = {
  print: line => process.stdout.write(`${line}\n`),
  complain: line => process.stderr.write(`sandstorm: ${line}\n`),
}

/** Lines of a table whose widths are found together. */
const PART_LINES = 1000

/** Prints what `which` (a process id or a device, '' for all) names; returns the exit code. */
export async function conns(
  which: string,
  flags: ConnsFlags,
  output: ConnsOutput = OUTPUT,
  around: Surroundings | undefined = surroundings(),
): Promise<number> {
  if (around === undefined) throw new UserError('conns', 'no Unix sockets here', 'Use Linux')
  const { found, problems } = await findInstances(around)
  const chosen = found.filter(({ pid, instance }) => isNamed(which, pid, instance.device))
  if (chosen.length === 0) refuse(which, problems, runtimeDir(around))
  if (which === '') for (const problem of problems) output.complain(problem)
  const own = chosen.filter(({ instance }) => instance.device !== KERNEL_DEVICE)
  const [kernel] = chosen.filter(({ instance }) => instance.device === KERNEL_DEVICE)
  if (own.length === 0 && kernel !== undefined) throw kernelError(kernel)
  let shown = 0
  for (const [i, server] of chosen.entries()) {
    if (i > 0 && flags.json !== true) output.print('')
    try {
      if (server.instance.device === KERNEL_DEVICE) throw kernelError(server)
      await show(server, flags, output)
      shown++
    } catch (error) {
      // One that ends just now is no reason not to show the others.
      const { message } = error as Error
      output.complain(error instanceof UserError ? message : `PID ${server.pid}: ${message}`)
    }
  }
  return shown > 0 ? 0 : 2
}

/** `sand0` and `tap:sand0` are the same. */
function isNamed(which: string, pid: number, device: string): boolean {
  if (which === '') return true
  if (/^\d+$/.test(which)) return Number(which) === pid
  const devices = device.split(', ')
  return devices.some(one => one === which || one.slice(one.indexOf(':') + 1) === which)
}

function refuse(which: string, problems: readonly string[], dir: string): never {
  const [problem] = problems.filter(text => which === '' || text.startsWith(`PID ${which}:`))
  const fix = `Sockets of this user's servers are in ${dir}; sandstorm serve DIR starts one`
  if (problem !== undefined) throw new UserError('conns', problem, fix)
  if (which === '') throw new UserError('conns', 'no server is running', fix)
  throw new UserError(`conns ${which}`, 'no such server is running', fix)
}

function kernelError({ pid, instance }: Found): UserError {
  const what = `PID ${pid}`
  const why = "it serves on the kernel's TCP, so the kernel has its connections"
  return new UserError(what, why, `Try ss -tnoi 'sport = :${new URL(instance.url).port || 80}'`)
}

async function show({ path }: Found, flags: ConnsFlags, { print }: ConnsOutput): Promise<void> {
  const lines = ask(path, flags.stats ? 'stats' : 'connections')
  for await (const text of flags.json ? jsonLines(lines) : textLines(lines)) print(text)
}

async function* jsonLines(lines: AsyncIterable<Line>): AsyncGenerator<string> {
  for await (const line of lines) yield JSON.stringify(line)
}

async function* textLines(lines: AsyncIterable<Line>): AsyncGenerator<string> {
  const columns = new Columns()
  let part: Connection[] = []
  let hasHeader = false
  const flush = (): string[] => {
    const texts = columns.lines(part)
    part = []
    if (hasHeader) return texts
    hasHeader = true
    return [columns.header(), ...texts]
  }
  for await (const line of lines) {
    if (line.type === 'instance') yield `# ${line.device} at ${line.url}, PID ${line.pid}`
    else if (line.type === 'stats') yield* countersText(line.stats)
    else if (line.type === 'summary') yield* [...flush(), summaryText(line)]
    else if (line.type === 'connection' && part.push(line) === PART_LINES) yield* flush()
  }
}
