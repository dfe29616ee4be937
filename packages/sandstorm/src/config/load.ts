/**
 * What `serve` is asked for, from everywhere it may be said: a flag wins over the file, the file over
 * the defaults. One site is DIR, or the file has sites.
 */
import { UserError } from '../cli/errors.ts'
import { checkConfig, type ServeConfig, type ServeFlags } from '../config.ts'
import { type ReadFile, readConfigFile } from './file.ts'
import { inFile } from './flags.ts'

/** Throws ConfigError or another UserError. `dir`: DIR, if it was given. */
export async function loadConfig(
  dir: string | undefined,
  { config, ...flags }: LoadFlags,
): Promise<ServeConfig> {
  if (config === undefined) return checkConfig({ ...flags, root: demandDir(dir) })
  const read = await readConfigFile(config)
  refuseProblems(read)
  const hasSites = read.flags.sites !== undefined
  if (dir !== undefined && hasSites)
    throw new UserError(`DIR ${dir}`, `${config} has sites`, 'Leave DIR out, or the sites')
  if (dir === undefined && !hasSites)
    throw new UserError(config, 'has no sites', 'Add some, or give a DIR as well')
  try {
    return checkConfig({ ...read.flags, ...flags, ...(dir === undefined ? {} : { root: dir }) })
  } catch (error) {
    throw error instanceof UserError ? inFile(error, config, read.data, flags) : error
  }
}

/** The flags of `serve`, with the file. */
export interface LoadFlags extends ServeFlags {
  readonly config?: string
}

function demandDir(dir: string | undefined): string {
  if (dir !== undefined) return dir
  throw new UserError('serve', 'DIR is missing', 'Give it, or --config FILE')
}

/** One line, and where the others are told. */
function refuseProblems({ file, problems }: ReadFile): void {
  const [first, ...others] = problems
  if (first === undefined) return
  if (others.length > 0) first.message += `; ${others.length} more: sandstorm check-config ${file}`
  throw first
}
