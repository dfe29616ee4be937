/**
 * The access log's file, on a real disk and on disks that fail: no line lost or torn that could be
 * had.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { AccessFile } from '../src/log/accessFile.ts'
import { AccessPoller } from '../src/log/accessPoller.ts'
import { AccessRing } from '../src/log/accessRing.ts'
import { type AccessSink, openSink } from '../src/log/accessSink.ts'
import { StartError } from '../src/startError.ts'

let dir = ''
let path = ''
let told: string[] = []
const log = {
  limited: (_: string, line: string): void => {
    told.push(line)
  },
}

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sand-log-'))
  path = join(dir, 'access.log')
  told = []
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const read = (file = path): string => readFileSync(file, 'utf8')

/** Waits until something holds. */
async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !what(); i++) await sleep(5)
  assert.ok(what(), `in two seconds: ${what}`)
}

describe('a file of lines', () => {
  test('has them after a short while, and all of them when it is closed', async () => {
    const file = await AccessFile.open({ path, log, flushMs: 20 })
    file.write('one\n')
    assert.equal(read(), '')
    await until(() => read() === 'one\n')
    file.write('two\n')
    await file.close()
    assert.equal(read(), 'one\ntwo\n')
    file.write('three\n')
    await file.close()
    assert.deepEqual(file.stats, { lines: 2, dropped: 1, errors: 0 })
  })

  test('is written at once when there is a block', async () => {
    const file = await AccessFile.open({ path, log, flushMs: 60_000 })
    for (let i = 0; i < 1000; i++) file.write(`${'x'.repeat(99)}\n`)
    await until(() => read().length >= 65_536)
    await file.close()
    assert.equal(read().length, 100_000)
  })

  test('is appended to', async () => {
    for (const line of ['one\n', 'two\n']) {
      const file = await AccessFile.open({ path, log })
      file.write(line)
      await file.close()
    }
    assert.equal(read(), 'one\ntwo\n')
    assert.equal(statSync(path).mode & 0o007, 0, 'others may not read who came')
  })

  test('cannot be had in a folder that is none: one line says what to do', async () => {
    const open = (path: string): Promise<AccessFile> => AccessFile.open({ path, log })
    await assert.rejects(open(join(dir, 'no', 'a')), (error: Error) => {
      assert.ok(error instanceof StartError)
      assert.match(error.message, /^--access-log .*: there is no such folder\. Make it, or/)
      return true
    })
    await assert.rejects(open(dir), /that is a folder/)
  })
})

describe('a pipe', () => {
  const makePipe = (): void => void execFileSync('mkfifo', [path])

  test('that nobody reads is refused, and kept when it is to be opened again', async () => {
    makePipe()
    await assert.rejects(AccessFile.open({ path, log }), /: nobody reads that pipe\. Start its/)
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const file = await AccessFile.open({ path, log, flushMs: 1 })
    closeSync(reader)
    await file.reopen()
    await file.close()
    assert.deepEqual(file.stats, { lines: 0, dropped: 0, errors: 1 })
  })

  test('whose reader takes its time gets all lines, and keeps nobody at the end', async () => {
    makePipe()
    const reader = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const file = await AccessFile.open({ path, log, flushMs: 1 })
      const lines = Array.from({ length: 50_000 }, (_, i) => `${i}\n`)
      for (const line of lines) file.write(line)
      await sleep(50)
      let text = ''
      const bytes = Buffer.alloc(65536)
      while (text.length < lines.join('').length) {
        const { bytesRead } = await reader.read(bytes).catch(() => ({ bytesRead: 0 }))
        text += bytes.toString('latin1', 0, bytesRead)
        if (bytesRead === 0) await sleep(1)
      }
      assert.equal(text, lines.join(''))
      for (const line of lines) file.write(line)
      await file.close()
      assert.equal(file.stats.errors, 0)
      assert.ok(file.stats.dropped > 0)
    } finally {
      await reader.close()
    }
  })
})

describe('rotation', () => {
  test('loses and tears no line', async () => {
    const file = await AccessFile.open({ path, log, flushMs: 1 })
    let next = 0
    const writer = setInterval(() => {
      for (let i = 0; i < 500; i++) file.write(`${next++}\n`)
    }, 1)
    for (let i = 0; i < 20; i++) {
      await sleep(10)
      renameSync(path, `${path}.${i}`)
      const before = next
      await file.reopen()
      const [last] = read(`${path}.${i}`).match(/\d+\n$/) ?? ['']
      assert.equal(Number(last), before - 1, 'lines from before are in the old file')
    }
    clearInterval(writer)
    await file.close()
    const all = [...Array(20).keys()].map(i => read(`${path}.${i}`)).join('') + read()
    assert.equal(all, [...Array(next).keys()].map(i => `${i}\n`).join(''))
    assert.deepEqual(file.stats, { lines: next, dropped: 0, errors: 0 })
  })

  test('that cannot open the new file goes on with the old one, and tries again', async () => {
    let isAllowed = true
    const open = (path: string): Promise<AccessSink> =>
      isAllowed ? openSink(path) : Promise.reject(new Error('EACCES: permission denied'))
    const file = await AccessFile.open({ path, log, open, flushMs: 5, retryMs: 30 })
    renameSync(path, `${path}.1`)
    isAllowed = false
    await file.reopen()
    file.write('old\n')
    await until(() => read(`${path}.1`) === 'old\n')
    isAllowed = true
    await sleep(100)
    file.write('new\n')
    await file.close()
    assert.equal(read(), 'new\n')
    assert.ok(file.stats.errors > 0)
    assert.match(told[0], /^cannot reopen the access log, so the old file goes on: EACCES/)
  })

  test('is nothing to standard output, and to a file that is closed', async () => {
    const stdout = await AccessFile.open({ path: '-', log })
    await stdout.reopen()
    await stdout.close()
    const file = await AccessFile.open({ path, log })
    await file.close()
    await file.reopen()
  })
})

/** A disk in memory that takes so many bytes a write, and fails where it is told to. */
class Disk implements AccessSink {
  text = ''
  /** Of each write to come how many bytes it takes; 0: it fails. None left: all. */
  script: number[] = []
  isFull = false
  /** Takes bytes, and says so only when it is told to. */
  isStuck = false

  async write(bytes: Buffer): Promise<number> {
    if (this.isStuck) await new Promise(() => {})
    const len = Math.min(bytes.length, this.isFull ? 0 : (this.script.shift() ?? bytes.length))
    if (len === 0) throw new Error('ENOSPC: no space left on device')
    this.text += bytes.toString('latin1', 0, len)
    return len
  }

  async close(): Promise<void> {}
}

/**
 * Lines and rotations in some order, on disks with these scripts; an empty one cannot be opened.
 */
async function checkAll(
  steps: readonly (number | 'reopen' | 'wait')[],
  scripts: readonly (readonly number[])[],
): Promise<void> {
  const disks = [new Disk()]
  let opened = 0
  const open = async (): Promise<AccessSink> => {
    const script = scripts[opened++]
    if (opened === 1) return disks[0]
    if (script?.length === 0) throw new Error('EACCES: permission denied')
    const disk = new Disk()
    disk.script = [...(script ?? [])]
    disks.push(disk)
    return disk
  }
  const options = { path, log, open, flushMs: 0, retryMs: 1, waitingMaxBytes: 400 }
  const file = await AccessFile.open(options)
  disks[0].script = [...(scripts[0] ?? [])]
  let next = 0
  for (const step of steps) {
    if (step === 'reopen') void file.reopen()
    else if (step === 'wait') await sleep(1)
    else for (let i = 0; i < step; i++) file.write(`line ${next++}\n`)
  }
  for (const disk of disks) disk.script = []
  await sleep(3)
  await file.close()
  const whole = disks.flatMap(({ text }) => text.split('\n').slice(0, -1))
  for (const line of whole) assert.match(line, /^line \d+$/)
  const numbers = whole.map(line => Number(line.slice(5)))
  assert.deepEqual(
    numbers,
    [...new Set(numbers)].sort((a, b) => a - b),
  )
  assert.equal(file.stats.lines, whole.length)
  assert.equal(file.stats.lines + file.stats.dropped, next)
}

describe('a disk that fails', () => {
  test('tears no line, however often it does and however little it takes', async () => {
    const scripts = fc.array(fc.oneof(fc.constant(0), fc.nat(40)), { maxLength: 30 })
    await fc.assert(
      fc.asyncProperty(scripts, fc.integer({ min: 1, max: 50 }), async (script, count) => {
        const disk = new Disk()
        disk.script = [...script]
        const open = async (): Promise<AccessSink> => disk
        const file = await AccessFile.open({ path, log, open, flushMs: 0, retryMs: 0 })
        let all = ''
        for (let i = 0; i < count; i++) {
          const line = `line ${i}\n`
          file.write(line)
          all += line
          if (i % 7 === 0) await new Promise(resolve => setImmediate(resolve))
        }
        while (disk.text.length < all.length) await sleep(1)
        await file.close()
        assert.equal(disk.text, all)
        assert.equal(file.stats.dropped, 0)
      }),
      { numRuns: 40 },
    )
  })

  test('and rotation at any moment: lines are in order and whole, or counted as lost', async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.integer({ min: 1, max: 9 }) },
      { weight: 1, arbitrary: fc.constant('reopen' as const) },
      { weight: 2, arbitrary: fc.constant('wait' as const) },
    )
    const scripts = fc.array(fc.array(fc.oneof(fc.constant(0), fc.nat(60)), { maxLength: 12 }))
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), scripts, checkAll),
      { numRuns: 150 },
    )
  })

  test('costs whole lines when too many wait, and the rest comes when it works again', async () => {
    const disk = new Disk()
    const open = async (): Promise<AccessSink> => disk
    const file = await AccessFile.open({
      path,
      log,
      open,
      flushMs: 1,
      retryMs: 5,
      waitingMaxBytes: 1000,
    })
    disk.script = [7]
    disk.isFull = false
    file.write(`${'a'.repeat(99)}\n`)
    await until(() => disk.text.length === 100)
    disk.isFull = true
    for (let i = 0; i < 50; i++) file.write(`${'b'.repeat(99)}\n`)
    await sleep(30)
    assert.equal(file.stats.dropped, 40)
    assert.ok(file.stats.errors > 1)
    assert.match(told.join('\n'), /cannot write to the access log: ENOSPC/)
    assert.match(told.join('\n'), /lines of the access log are lost: its disk/)
    disk.isFull = false
    await until(() => disk.text.length === 1100)
    file.write('c\n')
    await file.close()
    assert.match(disk.text, /^a{99}\n(b{99}\n){10}c\n$/)
  })

  test('is left behind by rotation: the torn line stays, the others go to the new file', async () => {
    const disks = [new Disk(), new Disk()]
    let i = 0
    const open = async (): Promise<AccessSink> => disks[i++]
    const file = await AccessFile.open({ path, log, open, flushMs: 1, retryMs: 5 })
    disks[0].script = [10, ...Array(10_000).fill(0)]
    for (let n = 0; n < 5; n++) file.write(`line ${n}\n`)
    await until(() => file.stats.errors > 0)
    await file.reopen()
    await file.close()
    assert.equal(disks[0].text, 'line 0\nlin')
    assert.equal(disks[1].text, 'line 2\nline 3\nline 4\n')
    assert.deepEqual([file.stats.lines, file.stats.dropped], [4, 1])
  })

  test('and a new one that cannot be opened: the old one goes on where the line was torn', async () => {
    const disk = new Disk()
    let opened = 0
    const open = async (): Promise<AccessSink> => {
      if (opened++ > 0) throw new Error('EACCES: permission denied')
      return disk
    }
    const file = await AccessFile.open({ path, log, open, flushMs: 1, retryMs: 5 })
    disk.script = [10, 0]
    for (let n = 0; n < 3; n++) file.write(`line ${n}\n`)
    const reopened = file.reopen()
    for (let n = 3; n < 5; n++) file.write(`line ${n}\n`)
    await reopened
    await file.close()
    assert.equal(disk.text, 'line 0\nline 1\nline 2\nline 3\nline 4\n')
    assert.deepEqual([file.stats.lines, file.stats.dropped], [5, 0])
  })

  test('holds up nobody at the end, and what it did not take is counted', async () => {
    const disk = new Disk()
    const open = async (): Promise<AccessSink> => disk
    const file = await AccessFile.open({ path, log, open })
    disk.isFull = true
    for (let i = 0; i < 10; i++) file.write('line\n')
    await file.close()
    assert.deepEqual([file.stats.lines, file.stats.dropped], [0, 10])

    const stuck = await AccessFile.open({ path, log, open })
    disk.isStuck = true
    stuck.write('line\n')
    const startMs = performance.now()
    await stuck.close()
    assert.ok(performance.now() - startMs < 4000)
    assert.equal(stuck.stats.dropped, 1)
  })
})

describe('the poller', () => {
  const note = (ring: AccessRing, path: string): void => {
    const head = Buffer.from(`GET ${path} HTTP/1.1\r\n\r\n`)
    ring.request(4, 0x7f000001, 0, 0, 0, 80, head, 0, head.length, 200, 5, 0)
  }

  test('writes what all packet threads have noted, and the rest at the end', async () => {
    mkdirSync(join(dir, 'sub'))
    const rings = [AccessRing.allocate(0), AccessRing.allocate(0)]
    const writers = rings.map(memory => new AccessRing(memory))
    const file = await AccessFile.open({ path, log, flushMs: 1 })
    const poller = new AccessPoller({ rings, format: 'common', file, log, everyMs: 5 })
    for (const [i, writer] of writers.entries()) note(writer, `/${i}`)
    await until(() => read().split('\n').length === 3)
    renameSync(path, `${path}.1`)
    note(writers[0], '/before')
    await poller.reopen()
    note(writers[1], '/after')
    await poller.close()
    assert.match(read(`${path}.1`), /"GET \/0 HTTP\/1\.1".*\n.*"GET \/1 .*\n.*"GET \/before .*\n$/)
    assert.match(read(), /^127\.0\.0\.1 - - \[.*\] "GET \/after HTTP\/1\.1" 200 5\n$/)
    assert.deepEqual(poller.stats, { lines: 4, dropped: 0, errors: 0 })
  })

  test('counts and tells what packet threads had to drop', async () => {
    const rings = [AccessRing.allocate(0)]
    const file = await AccessFile.open({ path, log })
    const poller = new AccessPoller({ rings, format: 'json', file, log, everyMs: 60_000 })
    const writer = new AccessRing(rings[0])
    for (let i = 0; i < 1000; i++) note(writer, '/')
    await poller.close()
    const { lines, dropped } = poller.stats
    assert.ok(dropped > 0)
    assert.equal(lines + dropped, 1000)
    assert.equal(read().split('\n').length, lines + 1)
    assert.match(told[0], /^answers come faster than they can be logged/)
  })
})
