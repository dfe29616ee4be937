/**
 * The command as a stranger meets it: the committed bin is spawned, and what it prints where and
 * its exit code are looked at.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const bin = fileURLToPath(new URL('../../bin/sandstorm.js', import.meta.url))
const manifest = new URL('../../package.json', import.meta.url)

interface Outcome {
  stdout: string
  stderr: string
  code: number | null
}

const run = (...args: string[]): Outcome => spawned(process.execPath, [bin, ...args])

function spawned(command: string, args: string[]): Outcome {
  const env = { ...process.env, SANDSTORM_DEBUG: '' }
  const { stdout, stderr, status } = spawnSync(command, args, {
    encoding: 'utf8',
    env,
    timeout: 60_000,
  })
  return { stdout, stderr, code: status }
}

/** One line on stderr that begins with the program's name, nothing on stdout, exit code 2. */
function refuses(args: string[], pattern: RegExp): void {
  isRefusal(run(...args), pattern)
}

function isRefusal({ stdout, stderr, code }: Outcome, pattern: RegExp): void {
  assert.equal(stdout, '')
  assert.match(stderr, /^sandstorm: [^\n]+\n$/)
  assert.match(stderr, pattern)
  assert.doesNotMatch(stderr, /\bat .*:\d+:\d+/)
  assert.equal(code, 2)
}

test('memory that cannot be had is a refusal', () => {
  const serve = `'${process.execPath}' '${bin}' serve '${dirname(bin)}' --device kernel --memory 2047MiB`
  const pattern =
    /no 2047MiB of memory to be had; ask for less \(--memory\), or .*: ulimit -v unlimited/
  isRefusal(spawned('sh', ['-c', `ulimit -v 2500000; exec ${serve}`]), pattern)
})

test('--version prints the version of package.json', () => {
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }
  assert.deepEqual(run('--version'), { stdout: `${version}\n`, stderr: '', code: 0 })
})

describe('--help', () => {
  for (const [args, parts] of [
    [['--help'], ['serve', 'load', 'conns', 'check-config', 'explain', 'doctor', 'Examples:']],
    [
      ['serve', '--help'],
      ['DIR', '--device', '--config', '--spa', '--access-log', '--admin', 'Examples:'],
    ],
    [
      ['conns', '--help'],
      ['PID|NAME', '--json', '--stats', 'Exit code', 'SANDSTORM_RUNTIME_DIR', 'Examples:'],
    ],
    [
      ['check-config', '--help'],
      ['FILE', '--schema', 'Exit code', 'Examples:'],
    ],
    [
      ['load', '--help'],
      ['URL', '--rate', '--source', '--json', 'Exit code', 'Examples:'],
    ],
    [
      ['explain', '--help'],
      ['FILE', 'Example:'],
    ],
    [
      ['doctor', '--help'],
      ['Exit code', 'Example:'],
    ],
    [['help', 'serve'], ['--device']],
  ] as const)
    test(`sandstorm ${args.join(' ')}`, () => {
      const { stdout, stderr, code } = run(...args)
      assert.equal(code, 0)
      assert.equal(stderr, '')
      for (const part of parts) assert.ok(stdout.includes(part), part)
    })
  test('is what one gets on stderr without any argument, with exit code 2', () => {
    const { stdout, stderr, code } = run()
    assert.equal(stdout, '')
    assert.match(stderr, /Usage: sandstorm/)
    assert.equal(code, 2)
  })
})

describe('a mistake is one line on stderr and exit code 2', () => {
  for (const [args, pattern] of [
    [['frobnicate'], /frobnicate: no such command.*sandstorm --help/],
    [['srve', '.'], /srve: no such command\. Did you mean serve\?/],
    [['--frob'], /--frob: no such flag/],
    [['serve', '.', '--prot', '80'], /--prot: no such flag\. Did you mean --port\?/],
    [['serve', '.', '--frob'], /--frob: no such flag.*sandstorm serve --help/],
    [['serve'], /serve: DIR is missing/],
    [['explain'], /explain: FILE is missing/],
    [['check-config'], /check-config: FILE is missing/],
    [
      ['check-config', '/no/such.json'],
      /^sandstorm: \/no\/such\.json: not there\. Expected a file/,
    ],
    [['serve', '--config', '/no/such.toml'], /^sandstorm: \/no\/such\.toml: not there/],
    [['serve', '.', '--spa', 'no.html'], /--spa no\.html: not there/],
    [['serve', '.', '--admin', '9077'], /--admin 9077: not an address and a port/],
    [['serve', '.', '--log-level', 'loud'], /--log-level loud: no such choice/],
    [['serve', '.', '.'], /serve: too many arguments/],
    [['serve', '.', '--port'], /--port: needs a value/],
    [['serve', '/no/such/folder'], /DIR \/no\/such\/folder: not there/],
    [['serve', bin], /not a folder/],
    [['serve', '.', '--port', '70000'], /--port 70000: out of range\. .*1 to 65535/],
    [['serve', '.', '--memory', '1XiB'], /--memory 1XiB: not a size/],
    [['serve', '.', '--address', '10.77.0'], /--address 10\.77\.0: not an IPv4 address/],
    [['serve', '.', '--address6', 'fd77'], /--address6 fd77: not an IPv6 address/],
    [['serve', '.', '--mtu', '100'], /--mtu 100: out of range\. .*576 to 9000/],
    [['serve', '.', '--cc', 'bbr'], /--cc bbr: no such choice\. Expected cubic, newreno/],
  ] as const)
    test(`sandstorm ${args.join(' ').replace(bin, 'FILE')}`, () => refuses([...args], pattern))
})

describe('check-config', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sandstorm-cli-'))
  after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'sandstorm.json')

  test('says that a file is fine, and what is in it', () => {
    const other = join(folder, 'sandstorm.toml')
    writeFileSync(
      other,
      'device = "tap"\n[[sites]]\nroot = "."\n[[sites]]\nroot = "."\nhosts = ["a"]',
    )
    const stdout = `${other}: ok (2 sites, device tap)\n`
    assert.deepEqual(run('check-config', other), { stdout, stderr: '', code: 0 })
  })
  test('tells all that is wrong, a line each', () => {
    writeFileSync(file, '{"port": 0, "mtu": 1500, "sites": [{"root": 7}]}')
    const { stdout, stderr, code } = run('check-config', file)
    assert.deepEqual([stdout, code], ['', 2])
    const lines = stderr.trimEnd().split('\n')
    assert.equal(lines.length, 2)
    assert.ok(lines.every(line => line.startsWith(`sandstorm: ${file}: `)))
    refuses(['serve', '--config', file], /port 0: out of range.*; 1 more: sandstorm check-config/)
  })
  test('prints the JSON Schema', () => {
    const schema = readFileSync(new URL('../../config.schema.json', import.meta.url), 'utf8')
    assert.deepEqual(run('check-config', '--schema'), { stdout: schema, stderr: '', code: 0 })
  })
})

test('a reader that goes away is quiet', async () => {
  const child = spawn(process.execPath, [bin, 'doctor'], { stdio: ['ignore', 'pipe', 'pipe'] })
  child.stdout.destroy()
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', text => {
    stderr += text
  })
  const code = await new Promise<number | null>(resolve => child.on('close', resolve))
  assert.equal(stderr, '')
  assert.ok(code === 0 || code === 1, `doctor's own exit code, not ${code}`)
})
