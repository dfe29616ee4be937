/**
 * Puts each program into one file, with its constants written out (after `tsc`, which checks
 * types). V8 fetches an imported constant from its module's cell at every use, and `tcb[c + SND_UNA]` is
 * twice as much code for it: in one file the same server takes 30 % less time per response
 * (docs/decisions.md, "One file a program"). Nothing else is changed, so profiles and stack traces
 * can be read.
 */
import { fileURLToPath } from 'node:url'
import { build } from 'rolldown'

const packages = fileURLToPath(new URL('../packages', import.meta.url))
const source = name => `${packages}/${name}/src/index.ts`
const alias = {
  '@sandstorm/libnmio': source('libnmio'),
  '@sandstorm/libeth': source('libeth'),
  '@sandstorm/libtcpip': source('libtcpip'),
  '@sandstorm/loadgen': source('loadgen'),
  sandstorm: source('sandstorm'),
}

/** Packages of others stay what `npm` installs; each program's own package.json names them. */
const external = [
  ...['commander', 'koffi', 'mrmime', 'smol-toml', 'undici', 'zod'],
  ...['@observablehq/plot', 'linkedom'],
]

/** A program, or a worker thread's: no chunks, since those would import from each other again. */
const program = (input, dir) => ({
  input: `${packages}/${input}`,
  platform: 'node',
  external,
  resolve: { alias },
  optimization: { inlineConst: { mode: 'all', pass: 5 } },
  output: { dir: `${packages}/${dir}`, sourcemap: true, codeSplitting: false },
})

await build([
  program('sandstorm/src/cli/main.ts', 'sandstorm/dist/bundle/cli'),
  program('sandstorm/src/instance/worker.ts', 'sandstorm/dist/bundle/cli'),
  program('sandstorm/src/load/loadWorker.ts', 'sandstorm/dist/bundle/cli'),
  program('sandstorm/src/content/readThread.ts', 'sandstorm/dist/bundle/cli'),
  program('bench/src/main.ts', 'bench/dist/bundle'),
  program('bench/src/figures/figures.ts', 'bench/dist/bundle'),
  program('sandstorm/src/content/readThread.ts', 'bench/dist/bundle'),
  program('bench/src/memoryRun.ts', 'bench/dist/bundle'),
  program('bench/src/generatorRun.ts', 'bench/dist/bundle'),
  program('bench/src/idleRun.ts', 'bench/dist/bundle'),
  program('bench/src/workersRun.ts', 'bench/dist/bundle'),
  program('bench/src/framesRun.ts', 'bench/dist/bundle'),
  program('bench/src/readersRun.ts', 'bench/dist/bundle'),
])
