/**
 * What `serve` is asked for, from everywhere it may be said: a flag wins over the file, the file
 * over the defaults. One site is DIR, or the file has sites.
 */
import { UserError } from '../cli/errors.ts'
import { checkConfig, findProblems, type ServeConfig, type ServeFlags } from '../config.ts'
import { type ReadFile, readConfigFile } from './file.ts'
import { FileProblem } from './fileProblem.ts'
import { inFile } from './flags.ts'

/** The flags of `serve`, with the file. */
export interface LoadFlags extends ServeFlags {
  readonly config?: string
}

/**
 * All that is wrong with a file and the flags on top; the message is one line, and says where the
 * others are told.
 */
export class ConfigProblems extends UserError {
  override readonly name: string = 'ConfigProblems'
  /** One at least, each a line. */
  readonly problems: readonly UserError[]

  constructor(file: string, problems: readonly UserError[]) {
    const [first, ...others] = problems
    super(first.what, first.why, first.fix)
    this.problems = problems
    const count = others.filter(one => one instanceof FileProblem).length
    const rest = count === 0 ? '' : `; ${count} more: sandstorm check-config ${file}`
    this.message = first.message + rest
  }
}

/**
 * Reads the file, if there is one, and checks everything; may be called again, when the file may
 * say something else. Throws ConfigProblems or another UserError. `dir`: DIR, if it was given.
 */
export async function loadConfig(
  dir: string | undefined,
  { config, ...flags }: LoadFlags,
): Promise<ServeConfig> {
  if (config === undefined) {
    const isOriginAlone = dir === undefined && flags.origin !== undefined
    return checkConfig(isOriginAlone ? flags : { ...flags, root: demandDir(dir) })
  }
  const read = await readConfigFile(config)
  const raw = { ...read.flags, ...flags, ...whatIsServed(dir, read) }
  const problems = [
    ...read.problems,
    ...findProblems(raw).map(one => inFile(one, config, read.data, flags)),
  ]
  if (problems.length > 0) throw new ConfigProblems(config, problems)
  demandOne(dir, read)
  return checkConfig(raw)
}

function demandDir(dir: string | undefined): string {
  if (dir !== undefined) return dir
  throw new UserError('serve', 'DIR is missing', 'Give it, or --config FILE, or --origin URL')
}

/** The sites of a file with problems have been looked at, and are not worth a second look. */
function whatIsServed(dir: string | undefined, { flags, problems }: ReadFile): ServeFlags {
  if (dir !== undefined) return { root: dir }
  return { sites: problems.length > 0 ? [] : (flags.sites ?? []) }
}

function demandOne(dir: string | undefined, { file, flags }: ReadFile): void {
  const hasSites = flags.sites !== undefined
  if (dir !== undefined && hasSites)
    throw new UserError(`DIR ${dir}`, `${file} has sites`, 'Leave DIR out, or the sites')
  if (dir === undefined && !hasSites)
    throw new UserError(file, 'has no sites', 'Add some, or give a DIR as well')
}
