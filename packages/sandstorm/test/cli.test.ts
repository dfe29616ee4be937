/**
 * The command as a stranger meets it: the committed bin is spawned, and what it prints where and
 * its exit code are looked at.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const bin = fileURLToPath(new URL('../../bin/sandstorm.js', import.meta.url))
const manifest = new URL('../../package.json', import.meta.url)

function run(...args: string[]): { stdout: string; stderr: string; code: number | null } {
  const { stdout, stderr, status } = spawnSync(process.execPath, [bin, ...args], {
    encoding: 'utf8',
    env: { ...process.env, SANDSTORM_DEBUG: '' },
  })
  return { stdout, stderr, code: status }
}

/** One line on stderr that begins with the program's name, nothing on stdout, exit code 2. */
function refuses(args: string[], pattern: RegExp): void {
  const { stdout, stderr, code } = run(...args)
  assert.equal(stdout, '')
  assert.match(stderr, /^sandstorm: [^\n]+\n$/)
  assert.match(stderr, pattern)
  assert.doesNotMatch(stderr, /\bat .*:\d+:\d+/)
  assert.equal(code, 2)
}

test('--version prints the version of package.json', () => {
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }
  assert.deepEqual(run('--version'), { stdout: `${version}\n`, stderr: '', code: 0 })
})

describe('--help', () => {
  for (const [args, parts] of [
    [['--help'], ['serve', 'conns', 'explain', 'doctor', 'Examples:']],
    [
      ['serve', '--help'],
      ['DIR', '--device', '--address', '--pcap', '--fault', 'Examples:'],
    ],
    [
      ['conns', '--help'],
      ['PID|NAME', '--json', '--stats', 'Exit code', 'SANDSTORM_RUNTIME_DIR', 'Examples:'],
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
  test('shows no flag and no command that a later version brings', () => {
    const text = run('--help').stdout + run('serve', '--help').stdout
    assert.doesNotMatch(text, /origin|--config|--admin|\bload\b/)
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

describe('what the contract has and this version has not is refused as such', () => {
  for (const args of [
    ['load', 'http://127.0.0.1/', '-c', '64'],
    ['load', '--help'],
    ['serve', '.', '--origin', 'http://127.0.0.1:3000'],
    ['serve', '.', '--config', 'x.json'],
    ['serve', '.', '--admin', '127.0.0.1:9077'],
  ])
    test(`sandstorm ${args.join(' ')}`, () =>
      refuses(args, /: not part of this version\. See README/))
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
