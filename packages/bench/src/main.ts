/**
 * `npm run bench -- [CASE…]`: runs the named cases, all of them without a name. A case measures,
 * prints a table for people and writes a record for machines; it throws when it cannot measure
 * honestly. One case failing does not keep the others from running, but the exit code tells.
 */
import { benchDevices } from './devices.ts'
import { benchFrames } from './frames.ts'
import { benchGenerator } from './generator.ts'
import { benchHttp } from './http.ts'
import { benchIdle } from './idle.ts'
import { benchLoad } from './load.ts'
import { benchLossy } from './lossy.ts'
import { benchMemory } from './memory.ts'
import { benchMicro } from './micro.ts'
import { type Options, parseOptions, USAGE } from './options.ts'
import { benchReaders } from './readers.ts'
import { benchSpin } from './spin.ts'
import { benchTap } from './tap.ts'
import { benchWorkers } from './workers.ts'

type Case = (options: Options) => Promise<void> | void

const CASES: Readonly<Record<string, Case>> = {
  tap: benchTap,
  devices: benchDevices,
  http: benchHttp,
  load: benchLoad,
  frames: benchFrames,
  generator: benchGenerator,
  lossy: benchLossy,
  memory: benchMemory,
  micro: benchMicro,
  idle: benchIdle,
  workers: benchWorkers,
  readers: benchReaders,
  spin: benchSpin,
}

async function main(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv)
  if (options === 'help') {
    process.stdout.write(`${USAGE}  CASE          ${Object.keys(CASES).join(', ')}\n`)
    return 0
  }
  const unknown = options.names.filter(name => !(name in CASES))
  if (unknown.length > 0) {
    throw new Error(
      `unknown case ${unknown.join(', ')}; there is: ${Object.keys(CASES).join(', ')}`,
    )
  }
  let failed = 0
  for (const name of options.names.length > 0 ? options.names : Object.keys(CASES)) {
    process.stdout.write(`\n## ${name}\n\n`)
    try {
      await CASES[name](options)
    } catch (error) {
      failed++
      process.stderr.write(`${name}: ${messageOf(error)}\n`)
    }
  }
  return failed > 0 ? 1 : 0
}

// An explicit exit: after a failed case its servers may still run, and go with the process.
try {
  process.exit(await main(process.argv.slice(2)))
} catch (error) {
  process.stderr.write(`bench: ${messageOf(error)}\n`)
  process.exit(2)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
