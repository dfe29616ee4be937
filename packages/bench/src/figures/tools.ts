/** Which programs are missing, and the command that installs them. Nothing is installed here. */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Figure, PACKAGES } from './figure.ts'

/** Throws one clear line if a figure cannot be measured here. */
export function demandTools(figures: readonly Figure[]): void {
  if (process.getuid?.() !== 0) throw new Error('figures need network namespaces: run them as root')
  const tools = [...new Set(figures.flatMap(figure => figure.tools))]
  const missing = tools.filter(tool => !isThere(tool))
  if (missing.length === 0) return
  const packages = missing.map(tool => PACKAGES[tool]).join(' ')
  throw new Error(`${missing.join(', ')} not found; to install: apt-get install ${packages}`)
}

/** Is there such a program? */
export function isThere(tool: string): boolean {
  const dirs = (process.env['PATH'] ?? '').split(delimiter)
  return [...dirs, '/usr/sbin', '/sbin'].some(dir => {
    try {
      accessSync(join(dir, tool), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
