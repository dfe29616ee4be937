/**
 * The text of a configuration file: JSON or TOML, told by its name; mistakes have a line and a
 * column.
 */
import { extname } from 'node:path'
import { FileProblem } from './fileProblem.ts'
import { findJsonProblem } from './jsonSyntax.ts'

/** The data in `text`, of whatever shape. Throws FileProblem. */
export async function parseText(file: string, text: string): Promise<unknown> {
  switch (extname(file).toLowerCase()) {
    case '.json':
      return parseJson(file, text)
    case '.toml':
      return await parseToml(file, text)
    default:
      throw new FileProblem(file, [], undefined, 'of no known kind', 'a name in .json or .toml')
  }
}

function parseJson(file: string, text: string): unknown {
  const problem = findJsonProblem(text)
  if (problem === undefined) return JSON.parse(text)
  const before = text.slice(0, problem.off).split('\n')
  const [line, column] = [before.length, (before.at(-1) ?? '').length + 1]
  throw syntaxProblem(file, line, column, problem.why, 'JSON')
}

async function parseToml(file: string, text: string): Promise<unknown> {
  const { parse, TomlError } = await import('smol-toml')
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const why = error.message.split('\n')[0].replace(/^Invalid TOML document: /, '')
    throw syntaxProblem(file, error.line, error.column, why, 'TOML')
  }
}

const syntaxProblem = (
  file: string,
  line: number,
  column: number,
  why: string,
  language: string,
): FileProblem => new FileProblem(`${file}:${line}:${column}`, [], undefined, why, language)
