/**
 * Where control sockets lie: one file `PID.sock` for each running server, in a folder that only its
 * user may enter. Who may open a socket there may see connections, so no other check is needed.
 */
import { lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** sockaddr_un (unix(7)) has 108 bytes, of which one ends the path. */
const PATH_MAX_BYTES = 107
/** Bits of group and others that let them make files. */
const WRITABLE_BY_OTHERS = 0o022

/** What of the process decides on the folder. */
export interface Surroundings {
  readonly uid: number
  readonly env: Readonly<Record<string, string | undefined>>
  readonly tmpdir: string
}

/** Those of this process; undefined where there are no user ids, and so no control sockets. */
export function surroundings(): Surroundings | undefined {
  const uid = process.getuid?.()
  return uid === undefined ? undefined : { uid, env: process.env, tmpdir: tmpdir() }
}

/**
 * The user's folder: $SANDSTORM_RUNTIME_DIR, or `/run/sandstorm` for root, or `sandstorm` in
 * $XDG_RUNTIME_DIR (XDG Base Directory Specification), or a folder of the user's own below the
 * temporary one.
 */
export function runtimeDir({ uid, env, tmpdir }: Surroundings): string {
  const given = env['SANDSTORM_RUNTIME_DIR'] ?? ''
  if (given !== '') return given
  if (uid === 0) return '/run/sandstorm'
  const xdg = env['XDG_RUNTIME_DIR'] ?? ''
  // "All paths set in these environment variables must be absolute"; others are to be ignored.
  return xdg.startsWith('/') ? join(xdg, 'sandstorm') : join(tmpdir, `sandstorm-${uid}`)
}

/**
 * The socket of a process, its folder made if need be and whatever lies in its place removed.
 * Throws.
 */
export function makeRoomFor(pid: number, around: Surroundings): string {
  const dir = runtimeDir(around)
  const path = join(dir, `${pid}.sock`)
  if (Buffer.byteLength(path) > PATH_MAX_BYTES) throw new Error(`${path} is too long for a socket`)
  makeFolder(dir)
  const problem = problemOf(dir, around.uid)
  if (problem !== '') throw new Error(problem)
  rmSync(path, { force: true })
  return path
}

/**
 * The folder alone: where its parent is missing too, Node's `recursive` may never come back
 * (/proc).
 */
function makeFolder(dir: string): void {
  try {
    mkdirSync(dir, { mode: 0o700 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

/** A socket that was found. */
export interface SocketFile {
  readonly pid: number
  readonly path: string
}

/**
 * All sockets of the user, by process id; none if there is no folder, or it is not to be trusted.
 */
export function socketFiles(around: Surroundings): SocketFile[] {
  const dir = runtimeDir(around)
  if (problemOf(dir, around.uid) !== '') return []
  return readdirSync(dir)
    .flatMap(name => {
      const pid = Number(/^([1-9]\d*)\.sock$/.exec(name)?.[1])
      return Number.isNaN(pid) ? [] : [{ pid, path: join(dir, name) }]
    })
    .sort((a, b) => a.pid - b.pid)
}

/** Removes the socket of a process that is dead; false if it lives. */
export function removeStale({ pid, path }: SocketFile): boolean {
  if (isAlive(pid)) return false
  rmSync(path, { force: true })
  return true
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH' // EPERM: somebody else's
  }
}

/** Why a folder cannot be used: anybody may have made it below the temporary one. '' if it can. */
function problemOf(dir: string, uid: number): string {
  try {
    const found = lstatSync(dir)
    if (!found.isDirectory()) return `${dir} is not a folder`
    if (found.uid !== uid) return `${dir} belongs to somebody else`
    return (found.mode & WRITABLE_BY_OTHERS) === 0 ? '' : `${dir} can be written to by others`
  } catch (error) {
    return (error as Error).message
  }
}
