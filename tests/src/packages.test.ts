/**
 * What somebody gets who installs the packages instead of cloning them: which files, whether all that
 * the programs load is declared, and whether the first program of each library's README runs.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { collect, run, start } from './kit/command.ts'
import { importsOf, isRelative, PACKAGES } from './kit/imports.ts'
import { Namespace } from './kit/namespace.ts'
import { needs } from './kit/privileges.ts'
import { ROOT, SITE } from './kit/server.ts'
import { type TemporaryFolder, temporaryFolder } from './kit/temporary.ts'

const timeout = 60_000
const read = (path: string): string => readFileSync(`${ROOT}${path}`, 'utf8')

/** All but the benchmarks. */
const PUBLISHED = PACKAGES.filter(name => name !== 'bench')

describe('the packages', { timeout }, () => {
  for (const name of PUBLISHED) {
    it(`${name} has its licence, its README and what it exports, and no tests`, async () => {
      // Without `prepack`, which builds anew what other tests are using.
      const how = ['--dry-run', '--json', '--ignore-scripts']
      const argv = ['npm', 'pack', ...how, `${ROOT}packages/${name}`]
      const { code, stdout, stderr } = await run(argv)
      assert.equal(code, 0, stderr)
      const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }]
      const paths = files.map(({ path }) => path)
      const wanted = [
        'LICENSE',
        'README.md',
        'dist/src/index.js',
        'dist/src/index.d.ts',
        'src/index.ts',
      ]
      assert.deepEqual(
        wanted.filter(path => !paths.includes(path)),
        [],
      )
      assert.deepEqual(
        paths.filter(path => /(^|\/)test\/|\.tsbuildinfo$/.test(path)),
        [],
      )
      assert.equal(read(`packages/${name}/LICENSE`), read('LICENSE'))
      assert.match(read(`packages/${name}/package.json`), /"prepack": "rm -rf dist && /)
      // Nothing outside comes with it, so nothing there can be followed.
      assert.doesNotMatch(read(`packages/${name}/README.md`), /\]\(\.\.\//)
    })
  }

  it('sandstorm declares what its programs load, and has no copy of it', () => {
    const folder = 'packages/sandstorm/dist/bundle/cli'
    const programs = readdirSync(`${ROOT}${folder}`).filter(name => name.endsWith('.js'))
    const texts = programs.map(name => read(`${folder}/${name}`))
    const loaded = new Set(texts.flatMap(loadedBy))
    for (const name of ['commander', 'koffi', 'undici']) assert.ok(loaded.has(name), name)
    const { dependencies } = JSON.parse(read('packages/sandstorm/package.json'))
    assert.deepEqual(
      [...loaded].filter(name => !(name in dependencies)),
      [],
    )
    assert.deepEqual(
      programs.filter((_, i) => /^\/\/#? ?(region )?node_modules\//m.test(texts[i])),
      [],
    )
  })
})

/** The packages that a program loads; those of Node and its own files left out. */
function loadedBy(text: string): string[] {
  const required = text.matchAll(/createRequire\(import\.meta\.url\)\("([^"]+)"\)/g)
  return [...importsOf(text).map(({ to }) => to), ...Array.from(required, ([, to]) => to)].filter(
    to => !to.startsWith('node:') && !isRelative(to),
  )
}

/** Sends 3 MB, shuts down, and prints whether all came back. */
const ECHO_CLIENT = `
  const net = require('node:net')
  const sent = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => (i * 7919) >> 5))
  const got = []
  const socket = net.connect({ host: '10.77.0.2', port: 7, allowHalfOpen: true }, () => socket.end(sent))
  socket.on('data', data => got.push(data))
  socket.on('end', () => console.log(Buffer.concat(got).equals(sent)))`

const FETCH = `
  fetch('http://10.77.0.2/').then(answer => answer.text()).then(text => process.stdout.write(text))`

const HTTP_SERVER = `
  require('node:http').createServer((_, answer) => answer.end('hello'))
    .listen(8080, '0.0.0.0', () => console.log('ready'))`

interface LinkCounts {
  readonly stats64: { readonly rx: { readonly packets: number } }
}

/** Looks again and again; the test's own limit ends it. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise(resolve => setTimeout(resolve, 20))
}

describe('the first program in the README', {
  ...needs('root', 'tun', 'ip', 'ping'),
  timeout,
}, () => {
  let namespace: Namespace
  let folder: TemporaryFolder
  let stop = async (): Promise<void> => {}

  /** The command that runs the program of a package's README as if it were installed. */
  const first = (name: string, ...args: string[]): string[] => [
    process.execPath,
    join(folder.path, `${name}.mjs`),
    ...args,
  ]

  /** Makes the programs of all READMEs, as somebody does who lets TypeScript be strict. */
  async function compile(): Promise<void> {
    const paths = PUBLISHED.map(name => {
      const [, program] = /```ts\n(.*?)```/s.exec(read(`packages/${name}/README.md`)) ?? []
      const path = join(folder.path, `${name}.mts`)
      writeFileSync(path, program)
      return path
    })
    const how = ['--ignoreConfig', '--strict', '--module', 'nodenext', '--target', 'es2022']
    const tsc = `${ROOT}node_modules/.bin/tsc`
    const { code, stdout } = await run([tsc, ...how, '--types', 'node', ...paths])
    assert.equal(code, 0, stdout)
  }

  /** Starts a command that serves; returns when the way to its TAP is there. */
  async function serve(argv: readonly string[]): Promise<void> {
    const child = start(argv, { namespace })
    const said = collect(child.stderr)
    const ended = new Promise(resolve => child.once('close', resolve))
    stop = async () => {
      child.kill('SIGKILL')
      await ended
      stop = async () => {}
    }
    await until(() => {
      assert.equal(child.exitCode, null, said())
      return namespace.ip('route').includes('10.77.0.0/24')
    })
  }

  const ping = (): ReturnType<typeof run> =>
    run(['ping', '-c', '1', '-W', '1', '10.77.0.2'], { namespace })

  before(async () => {
    namespace = new Namespace()
    folder = temporaryFolder('readme')
    mkdirSync(join(folder.path, 'node_modules'))
    for (const name of ['@sandstorm', '@types', 'sandstorm']) {
      symlinkSync(`${ROOT}node_modules/${name}`, join(folder.path, `node_modules/${name}`))
    }
    await compile()
  })
  afterEach(() => stop())
  after(() => {
    namespace?.remove()
    folder?.remove()
  })

  it('libnmio: every frame comes back', async () => {
    await serve(first('libnmio'))
    await ping() // nobody answers, but the kernel's question is heard
    await until(() => {
      const links = JSON.parse(namespace.ip('-s', '-j', 'link', 'show', 'sand0')) as LinkCounts[]
      return links[0].stats64.rx.packets > 0
    })
  })

  it('libeth: the kernel has found its neighbour', async () => {
    await serve(first('libeth'))
    await ping() // no answer either: nobody speaks IP
    await until(() => namespace.ip('neigh', 'show', '10.77.0.2').includes('lladdr'))
  })

  it('libtcpip: bytes come back, to the last', async () => {
    await serve(first('libtcpip'))
    const { stdout, stderr } = await run([process.execPath, '-e', ECHO_CLIENT], { namespace })
    assert.equal(stdout, 'true\n', stderr)
  })

  it('sandstorm: a file is served', async () => {
    await serve(first('sandstorm', SITE))
    const { stdout, stderr } = await run([process.execPath, '-e', FETCH], { namespace })
    assert.equal(stdout, read('examples/site/index.html'), stderr)
  })

  it('loadgen: requests are answered', async () => {
    const server = start([process.execPath, '-e', HTTP_SERVER], { namespace })
    const ready = new Promise(resolve => server.stdout?.once('data', resolve))
    stop = async () => {
      server.kill('SIGKILL')
    }
    await ready
    const { stdout, stderr } = await run(first('loadgen'), { namespace })
    assert.match(stdout, /^[1-9]\d* \{\n {2}mean: /, stderr)
  })
})
