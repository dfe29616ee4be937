/**
 * A command prefix that runs Node on this clone as the user `nobody`, wherever the clone lies: in a
 * private mount namespace the clone and the node binary are bound to a folder that everybody may
 * enter (a clone below /root could not be read otherwise). The mounts end with the process.
 */
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './server.ts'
import { temporaryFolder } from './temporary.ts'

/** Called as `sh DIR ROOT RIGHTS NODE ARGUMENT…`. */
const SCRIPT = `
set -e
dir=$1 root=$2 rights=$3 node=$4
shift 4
mount --bind "$root" "$dir/clone"
mount --bind "$node" "$dir/node"
for arg; do
  shift
  case $arg in "$root"*) arg=$dir/clone/\${arg#"$root"} ;; esac
  set -- "$@" "$arg"
done
exec setpriv --reuid 65534 --regid 65534 --clear-groups \
  --inh-caps "$rights" --ambient-caps "$rights" --bounding-set "$rights" -- "$dir/node" "$@"
`

export interface Nobody {
  /** Put in front of `node SCRIPT …`; paths into the clone are mapped. */
  readonly prefix: readonly string[]
  /** Where `nobody` may put control sockets. */
  readonly env: Record<string, string>
  remove(): void
}

/**
 * Needs root, `unshare`, `mount` and `setpriv` (util-linux). `rights`: the capabilities that the
 * process has all the same, and no other, as `net_admin`.
 */
export function becomeNobody(...rights: string[]): Nobody {
  const { path: dir, remove } = temporaryFolder('nobody')
  chmodSync(dir, 0o755)
  mkdirSync(join(dir, 'clone'))
  writeFileSync(join(dir, 'node'), '')
  const controls = join(dir, 'control')
  mkdirSync(controls, { mode: 0o700 })
  chownSync(controls, 65534, 65534)
  const env = { SANDSTORM_RUNTIME_DIR: controls }
  const caps = ['-all', ...rights.map(right => `+${right}`)].join(',')
  return { env, prefix: ['unshare', '--mount', 'sh', '-c', SCRIPT, 'sh', dir, ROOT, caps], remove }
}
