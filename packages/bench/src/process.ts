/**
 * Child processes and network namespaces of a benchmark. Everything made here is gone when the
 * process ends, however it ends; names carry our pid, so that two benchmarks do not meet.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'

export interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const cleanUps: (() => void)[] = []
process.on('exit', () => {
  for (const cleanUp of cleanUps.reverse()) cleanUp()
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

let made = 0

/** Makes a network namespace with its loopback up and returns its name. Needs root. */
export function makeNamespace(): string {
  const name = `sand-bench-${process.pid}-${made++}`
  ip('netns', 'add', name)
  cleanUps.push(() => removeNamespace(name))
  ip('-n', name, 'link', 'set', 'lo', 'up')
  return name
}

/** What still runs inside was started by us, nginx's worker for instance: it is ended by pid. */
function removeNamespace(name: string): void {
  const { stdout } = spawnSync('ip', ['netns', 'pids', name], { encoding: 'utf8' })
  const pids = stdout.split('\n').filter(Boolean)
  if (pids.length > 0) spawnSync('kill', ['-KILL', ...pids])
  spawnSync('ip', ['netns', 'del', name])
}

/** Runs `ip …`; throws with its message when it fails. */
export function ip(...args: string[]): void {
  const { status, stderr, error } = spawnSync('ip', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${error?.message ?? stderr.trim()}`)
}

/** Sets a network sysctl inside a namespace; throws where the kernel refuses. */
export function sysctl(namespace: string, name: string, value: string): void {
  const argv = ['netns', 'exec', namespace, 'sh', '-c', 'echo "$1" > "$0"']
  ip(...argv, `/proc/sys/${name.replaceAll('.', '/')}`, value)
}

/** Starts a process inside a namespace; it is killed when we end. */
export function startInside(namespace: string, argv: readonly string[]): ChildProcess {
  const child = spawn('ip', ['netns', 'exec', namespace, ...argv])
  cleanUps.push(() => child.kill('SIGKILL'))
  return child
}

/**
 * Runs a command inside a namespace to its end; past the limit it is killed, and its code is -1.
 */
export async function runInside(
  namespace: string,
  argv: readonly string[],
  limitMs: number,
): Promise<Outcome> {
  const child = startInside(namespace, argv)
  const limit = setTimeout(() => child.kill('SIGKILL'), limitMs)
  let stdout = ''
  let stderr = ''
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk
  })
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk
  })
  const code = await ended(child)
  clearTimeout(limit)
  return { code, stdout, stderr }
}

/** Waits for a child's end; -1 when a signal ended it. */
export function ended(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', code => resolve(code ?? -1))
  })
}
