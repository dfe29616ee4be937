/**
 * `sandstorm check-config FILE`: everything that is wrong with a configuration file, a line each,
 * or that it is fine. Exit code 0 or 2. With --schema it prints the JSON Schema of such files.
 */
import { problemsOf, readConfigFile } from '../config/file.ts'
import { schemaText } from '../config/jsonSchema.ts'
import { failureOf, UserError } from './errors.ts'

export interface CheckConfigFlags {
  readonly schema?: boolean
}

/** Prints the verdict; returns the exit code. */
export async function checkConfigFile(
  file: string | undefined,
  { schema }: CheckConfigFlags,
): Promise<number> {
  if (schema === true) {
    process.stdout.write(await schemaText())
    return 0
  }
  if (file === undefined)
    throw new UserError('check-config', 'FILE is missing', 'Give it, or --schema')
  const read = await readConfigFile(file)
  const problems = problemsOf(read)
  for (const problem of problems) process.stderr.write(`${failureOf(problem).line}\n`)
  if (problems.length > 0) return 2
  const { sites = [], device = ['auto'] } = read.flags
  process.stdout.write(`${file}: ok (${countText(sites.length)}, device ${device.join(', ')})\n`)
  return 0
}

function countText(count: number): string {
  if (count === 0) return 'no sites: serve needs a DIR as well'
  return count === 1 ? '1 site' : `${count} sites`
}
