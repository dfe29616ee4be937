/** Files and folders that a configuration names: are they there, and of the right kind? */
import { accessSync, constants, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { ConfigError } from '../cli/errors.ts'

const isFolder = (path: string): boolean => stat(path)?.isDirectory() ?? false

/** undefined for what is not there, or cannot be looked at. */
function stat(path: string): ReturnType<typeof statSync> {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}

/** Why the folder cannot be listed and entered; '' if it can. */
export function folderProblem(path: string): string {
  if (path === '') return 'nothing given'
  try {
    if (!statSync(path).isDirectory()) return 'not a folder'
    accessSync(path, constants.R_OK | constants.X_OK)
    return ''
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'ENOENT' ? 'not there' : `cannot be read (${code})`
  }
}

export const FOLDER_EXPECTED = 'a folder with files to serve'

/** The folder as an absolute path. Throws ConfigError. */
export function checkFolder(flag: string, text: string): string {
  const problem = folderProblem(text)
  if (problem !== '') throw new ConfigError(flag, text, problem, FOLDER_EXPECTED)
  return resolve(text)
}

/** A file that will be written, as an absolute path. Throws ConfigError. */
export function checkOutput(flag: string, text: string, example: string): string {
  const path = resolve(text)
  if (text === '' || text.includes('\0') || isFolder(path))
    throw new ConfigError(flag, text, 'not a file name', `a file to write, like ${example}`)
  if (!isFolder(dirname(path)))
    throw new ConfigError(flag, text, 'its folder is not there', 'a file in a folder that is')
  return path
}

export const SITE_FILE_EXPECTED = 'a file below root, like /index.html'

/** A path of a site: its slash may be left out. */
export const sitePath = (text: string): string => (text.startsWith('/') ? text : `/${text}`)

/** Why `path` (with its slash) is no file of the site at `root`; '' if it is one. */
export function siteFileProblem(root: string, path: string): string {
  if (root === '') return 'there is no root'
  const isBad = path
    .slice(1)
    .split('/')
    .some(name => name === '' || name === '.' || name === '..')
  if (isBad || path.includes('\0')) return 'not the path of a file'
  const found = stat(join(root, path))
  if (found === undefined) return 'not there'
  return found.isFile() ? '' : 'not a file'
}
