/**
 * Figure 2 of the paper as a test: which package may import which, and who may touch the system.
 * Neither npm workspaces nor `tsc -b` refuses an import in the wrong direction.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import {
  fileGraph,
  findCycle,
  importsOf,
  isRelative,
  PACKAGES,
  type SourceFile,
  sourceFiles,
} from './kit/imports.ts'
import { ROOT } from './kit/server.ts'

/** Any layer may use libnmio: the paper's cross-layer point. Nothing imports rightwards. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  libnmio: [],
  libeth: ['libnmio'],
  libtcpip: ['libnmio', 'libeth'],
  sandstorm: ['libnmio', 'libeth', 'libtcpip', 'loadgen'],
  loadgen: ['libnmio', 'libeth', 'libtcpip'],
  bench: ['libnmio', 'libeth', 'libtcpip', 'sandstorm', 'loadgen'],
}

/** Of sandstorm, only the command `load` knows the generator: a server does without. */
const LOADGEN_USERS = /^packages\/sandstorm\/src\/(load\/|cli\/)/

/** The only package that knows system calls, and where in it. */
const KOFFI_FOLDER = 'packages/libnmio/src/sys/'

/** Files that read or write files: content, and what a person asks for on the command line. */
const FS_FILES: readonly RegExp[] = [
  /^packages\/sandstorm\/src\/content\/(fileSystem|folderWatch|read|scan)\.ts$/,
  /^packages\/sandstorm\/src\/cli\/(program|checks)\.ts$/,
  /^packages\/sandstorm\/src\/config\/file\.ts$/,
  /^packages\/sandstorm\/src\/config\/paths\.ts$/, // is there such a folder?
  /^packages\/sandstorm\/src\/instance\/worker\.ts$/, // --trace writes past the event loop
  /^packages\/sandstorm\/src\/log\/accessSink\.ts$/, // the access log
  /^packages\/sandstorm\/src\/control\/runtimeDir\.ts$/, // where control sockets lie
  /^packages\/sandstorm\/src\/front\/disk\.ts$/, // stored answers
  /^packages\/sandstorm\/src\/explain\/explain\.ts$/,
  /^packages\/libnmio\/src\/wrap\/pcap\.ts$/,
  /^packages\/libnmio\/src\/sys\//,
  /^packages\/bench\/src\//,
]

const sources = PACKAGES.flatMap(name => sourceFiles(`packages/${name}/src`))

describe('the architecture', () => {
  it('has a place for every package', () => {
    assert.deepEqual(
      PACKAGES.filter(name => ALLOWED[name] === undefined),
      [],
    )
  })

  for (const name of PACKAGES) {
    const allowed = ALLOWED[name] ?? []
    const files = ['src', 'test'].flatMap(folder => sourceFiles(`packages/${name}/${folder}`))

    it(`lets ${name} import only: ${allowed.join(', ') || 'nothing'}`, () => {
      const wrong = edges(files).filter(([, to]) => {
        const target = packageOf(to)
        return target !== '' && target !== name && !allowed.includes(target)
      })
      assert.deepEqual(wrong, [])
    })

    it(`keeps ${name} to the front doors of others`, () => {
      const wrong = edges(files).filter(
        ([file, to]) =>
          /^(@sandstorm\/\w+|sandstorm)\/./.test(to) ||
          (isRelative(to) && !join(file, '..', to).startsWith(`packages/${name}/`)),
      )
      assert.deepEqual(wrong, [])
    })

    it(`declares what ${name} imports`, () => {
      const sources = files.filter(({ path }) => path.startsWith(`packages/${name}/src/`))
      assert.deepEqual(undeclared(name, sources), [])
    })

    it(`has no circle in ${name}`, () => {
      assert.deepEqual(findCycle(fileGraph(files)), [])
    })

    // bench is a program: nothing imports it, so it has no front door.
    if (name === 'bench') continue
    it(`names every export of ${name}`, () => {
      const text = readFileSync(`${ROOT}packages/${name}/src/index.ts`, 'utf8')
      assert.doesNotMatch(text, /export\s*\*\s*from/)
    })
  }

  it('keeps system calls in one folder', () => {
    const wrong = users(/^koffi$/).filter(file => !file.startsWith(KOFFI_FOLDER))
    assert.deepEqual(wrong, [])
  })

  it('keeps the load generator out of the server', () => {
    const all = edges(sources.filter(({ path }) => path.startsWith('packages/sandstorm/')))
    const files = all.filter(([, to]) => to === '@sandstorm/loadgen').map(([file]) => file)
    assert.ok(files.length > 0)
    assert.deepEqual(
      files.filter(file => !LOADGEN_USERS.test(file)),
      [],
    )
  })

  it('keeps files away from the stack', () => {
    const wrong = users(/^(node:)?fs(\/|$)/).filter(file => !FS_FILES.some(ok => ok.test(file)))
    assert.deepEqual(wrong, [])
  })
})

describe('the checks above', () => {
  it('see every form of import', () => {
    const text = [
      "import a from 'one'",
      "import {\n  b,\n  type C,\n} from 'two'",
      "export { d } from 'three'",
      "export * as e from 'four'",
      "import type { F } from './five.ts'",
      "import 'six'",
      "const g = await import('seven')",
      "export const h = 3 // told apart from 'a comment'",
    ].join('\n')
    const imports = importsOf(text)
    const seen = ['./five.ts', 'four', 'one', 'seven', 'six', 'three', 'two']
    assert.deepEqual(imports.map(({ to }) => to).sort(), seen)
    const types = imports.filter(({ typesOnly }) => typesOnly)
    assert.deepEqual(types, [{ to: './five.ts', typesOnly: true }])
  })

  it('see a circle and name its members', () => {
    const graph = new Map([
      ['a', ['b', 'c']],
      ['b', ['c']],
      ['c', ['d']],
      ['d', ['b']],
    ])
    assert.deepEqual(findCycle(graph), ['b', 'c', 'd', 'b'])
    graph.set('d', [])
    assert.deepEqual(findCycle(graph), [])
  })

  it('have something to look at', () => {
    assert.ok(edges(sources).some(([, to]) => to === '@sandstorm/libnmio'))
    assert.ok(PACKAGES.includes('libnmio') && PACKAGES.includes('sandstorm'))
  })
})

function edges(files: readonly SourceFile[]): [file: string, to: string][] {
  return files.flatMap(({ path, imports }) => imports.map(({ to }): [string, string] => [path, to]))
}

/** The files whose compiled code imports a module. */
function users(module: RegExp): string[] {
  return sources
    .filter(({ imports }) => imports.some(({ to, typesOnly }) => !typesOnly && module.test(to)))
    .map(({ path }) => path)
}

/** `libeth` for `@sandstorm/libeth`, '' for what is none of ours. */
function packageOf(specifier: string): string {
  const [scope, name] = specifier.split('/')
  if (scope === '@sandstorm') return name
  return scope === 'sandstorm' ? scope : ''
}

function undeclared(name: string, files: readonly SourceFile[]): string[] {
  const { dependencies = {} } = JSON.parse(
    readFileSync(`${ROOT}packages/${name}/package.json`, 'utf8'),
  ) as { dependencies?: Record<string, string> }
  return edges(files)
    .map(([, to]) => to)
    .filter(to => !isRelative(to) && !to.startsWith('node:') && !builtinModules.includes(to))
    .map(to =>
      to
        .split('/')
        .slice(0, to.startsWith('@') ? 2 : 1)
        .join('/'),
    )
    .filter(to => !(to in dependencies))
}
