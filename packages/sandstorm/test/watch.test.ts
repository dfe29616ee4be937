/** Changed folders are noticed: the rules against a watch and a clock of ours, then inotify. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { join } from 'node:path'
import { describe, mock, type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { FolderWatcher, type WatchOptions } from '../src/content/watch.ts'
import { makeTree } from './contentTree.ts'

/** Lets promises settle; setImmediate is not mocked. */
const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** A watcher over folders that exist only here, and a clock that is moved by hand. */
class World {
  readonly watcher: FolderWatcher
  readonly warnings: string[] = []
  /** When each call began. */
  readonly calls: number[] = []
  /** Why a folder cannot be watched. */
  readonly refusals: Map<string, string> = new Map()
  readonly stale: Set<string> = new Set()
  nowMs = 0
  tries = 0
  /** What a call of onChange does beside being noted. */
  work: () => Promise<void> = async () => {}
  readonly #watched: Map<string, { onEvent: () => void; onError: () => void }> = new Map()

  constructor(options: Partial<WatchOptions> = {}) {
    this.watcher = new FolderWatcher({
      onChange: () => {
        this.calls.push(this.nowMs)
        return this.work()
      },
      onWarning: line => this.warnings.push(line),
      nowMs: () => this.nowMs,
      watch: (dir, onEvent, onError) => {
        this.tries++
        const code = this.refusals.get(dir)
        if (code !== undefined) throw Object.assign(new Error(code), { code })
        assert.ok(!this.#watched.has(dir), `${dir} is watched twice`)
        this.#watched.set(dir, { onEvent, onError })
        this.stale.delete(dir)
        return {
          close: () => void this.#watched.delete(dir),
          isStale: () => this.stale.has(dir),
        }
      },
      ...options,
    })
  }

  get watched(): string[] {
    return [...this.#watched.keys()].sort()
  }

  event(dir: string): void {
    this.#watched.get(dir)?.onEvent()
  }

  /** It is removed: nothing watches it, and it cannot be watched. */
  remove(dir: string): void {
    this.refusals.set(dir, 'ENOENT')
    this.#watched.get(dir)?.onError()
  }

  /** Lets time pass, a millisecond at a time. */
  async pass(ms: number): Promise<void> {
    for (let i = 0; i < ms; i++) {
      this.nowMs++
      mock.timers.tick(1)
      await settle()
    }
  }

  /** A call takes so long. */
  lasts(ms: number): void {
    this.work = () => new Promise(resolve => setTimeout(resolve, ms))
  }

  /** Follows, and gets the call that new folders mean over with. */
  async begin(...dirs: string[]): Promise<void> {
    this.watcher.follow(dirs)
    await this.pass(100)
    assert.equal(this.calls.length, 1)
    this.calls.length = 0
  }
}

/** A test with a world in which time passes by hand. */
function rule(name: string, body: (world: World) => Promise<void>): void {
  test(name, async t => {
    mock.timers.enable({ apis: ['setTimeout'] })
    t.after(() => mock.timers.reset())
    const world = new World()
    await body(world)
    await world.watcher.close()
    assert.deepEqual(world.watched, [])
  })
}

describe('the rules', () => {
  rule('a call comes 100 ms after the first of many events, and not again', async world => {
    await world.begin('/a', '/b')
    const beginMs = world.nowMs
    for (let i = 0; i < 50; i++) {
      world.event(i % 2 === 0 ? '/a' : '/b')
      await world.pass(1)
    }
    await world.pass(1000)
    assert.deepEqual(world.calls, [beginMs + 100])
  })

  rule('what changes all the time is looked at all the time', async world => {
    await world.begin('/a')
    for (let i = 0; i < 100; i++) {
      world.event('/a')
      await world.pass(10)
    }
    assert.equal(world.calls.length, 10)
  })

  rule('events during a call lead to one more, after a rest of twice its length', async world => {
    await world.begin('/a')
    world.lasts(200)
    world.event('/a')
    await world.pass(110)
    const [beginMs] = world.calls
    for (let i = 0; i < 5; i++) {
      world.event('/a')
      await world.pass(20)
    }
    await world.pass(2000)
    assert.deepEqual(world.calls, [beginMs, beginMs + 200 + 400])
  })

  rule('a change long after a long call waits no longer than any other', async world => {
    await world.begin('/a')
    world.lasts(300)
    world.event('/a')
    await world.pass(2000)
    const eventMs = world.nowMs
    world.event('/a')
    await world.pass(100)
    assert.equal(world.calls[1], eventMs + 100)
    await world.pass(300)
  })

  rule('a call that fails is a warning, and the next change is told', async world => {
    await world.begin('/a')
    world.work = () => Promise.reject(new Error('disk on fire'))
    world.event('/a')
    await world.pass(100)
    assert.deepEqual(world.warnings, ['disk on fire'])
    world.event('/a')
    await world.pass(100)
    assert.equal(world.calls.length, 2)
  })

  rule('a call that throws at once is one that fails', async world => {
    await world.begin('/a')
    world.work = () => {
      throw new Error('typo')
    }
    world.event('/a')
    await world.pass(100)
    assert.deepEqual(world.warnings, ['typo'])
  })

  rule('exactly the folders asked for are watched, and new ones count as changed', async world => {
    await world.begin('/a', '/b')
    world.watcher.follow(['/b', '/a'])
    await world.pass(1000)
    world.watcher.follow(['/b'])
    await world.pass(1000)
    assert.deepEqual([world.calls.length, world.tries, world.watched], [0, 2, ['/b']])
    world.watcher.follow(['/b', '/c'])
    await world.pass(1000)
    assert.deepEqual([world.calls.length, world.tries, world.watched], [1, 3, ['/b', '/c']])
  })

  rule('a folder that took the place of another is watched anew', async world => {
    await world.begin('/a', '/b')
    world.stale.add('/a')
    world.watcher.follow(['/a', '/b'])
    await world.pass(100)
    assert.deepEqual([world.calls.length, world.tries, world.watched], [1, 3, ['/a', '/b']])
  })

  rule('a folder that is gone before it is watched counts as changed, once', async world => {
    world.refusals.set('/b', 'ENOENT')
    await world.begin('/a')
    world.watcher.follow(['/a', '/b'])
    world.work = async () => world.watcher.follow(['/a', '/b'])
    await world.pass(10_000)
    assert.deepEqual([world.calls.length, world.warnings], [1, []])
  })

  rule('a folder that is removed counts as changed, and again when it is back', async world => {
    await world.begin('/a')
    world.remove('/a')
    assert.deepEqual(world.watched, [])
    await world.pass(10_000)
    assert.equal(world.calls.length, 1)
    world.refusals.clear()
    await world.pass(2100)
    assert.deepEqual([world.calls.length, world.watched], [2, ['/a']])
    await world.pass(10_000)
    assert.equal(world.calls.length, 2, 'and nothing is polled any more')
  })

  rule('a folder that is back at once is watched again before the call', async world => {
    await world.begin('/a')
    world.remove('/a')
    world.refusals.clear()
    let watched: string[] = []
    world.work = async () => {
      watched = world.watched
    }
    await world.pass(100)
    assert.deepEqual(watched, ['/a'])
  })

  rule('beyond the limit of watches folders are looked at, until there is room', async world => {
    world.refusals.set('/b', 'ENOSPC').set('/c', 'ENOSPC')
    await world.begin('/a', '/b', '/c')
    assert.equal(world.warnings.length, 1)
    assert.match(
      world.warnings[0],
      /^\/b: cannot be watched \(ENOSPC\), nor can 1 more, .* every 2 s; raise fs\.inotify\.max_user_watches$/,
    )
    await world.pass(10_000)
    assert.ok(world.calls.length >= 4, `${world.calls}`)
    world.refusals.clear()
    await world.pass(2500)
    assert.deepEqual(world.watched, ['/a', '/b', '/c'])
    world.calls.length = 0
    await world.pass(10_000)
    assert.deepEqual([world.calls.length, world.warnings.length], [0, 1])
  })

  rule('when the limit is reached the folders behind it are not even tried', async world => {
    for (let i = 0; i < 1000; i++) world.refusals.set(`/${i}`, 'EMFILE')
    world.watcher.follow(world.refusals.keys())
    assert.equal(world.tries, 1)
    assert.match(world.warnings[0], /nor can 999 more.*max_user_instances/)
  })

  rule('a folder that may not be read is told, and those behind it are watched', async world => {
    world.refusals.set('/a\nb', 'EACCES')
    await world.begin('/a\nb', '/c')
    assert.match(world.warnings[0], /^\/a\?b: cannot be watched \(EACCES\), so .*let this user/)
    assert.deepEqual([world.watched, world.warnings.length], [['/c'], 1])
  })

  rule('after close nothing is called, and close waits for what is under way', async world => {
    await world.begin('/a')
    let finish = (): void => {}
    let isDone = false
    world.work = () =>
      new Promise(resolve => {
        finish = resolve
      })
    world.event('/a')
    await world.pass(100)
    world.event('/a')
    const closed = world.watcher.close().then(() => {
      isDone = true
    })
    await world.pass(1000)
    assert.ok(!isDone)
    finish()
    await closed
    world.watcher.follow(['/b'])
    await world.pass(10_000)
    assert.deepEqual([world.calls.length, world.watched], [1, []])
  })

  rule('close forgets a change that waits', async world => {
    await world.begin('/a')
    world.event('/a')
    await world.watcher.close()
    await world.pass(1000)
    assert.equal(world.calls.length, 0)
  })
})

/** Longer than a call, the rest after it, and what was left of the call before. */
const SOON_MS = 1000

test('whatever happens: calls never overlap, and each event is followed by one soon', async t => {
  t.after(() => mock.timers.reset())
  const dir = fc.constantFrom('/a', '/b')
  const step = fc.oneof(
    fc.record({ kind: fc.constantFrom('event', 'remove', 'make'), dir }),
    fc.record({ kind: fc.constantFrom('pass', 'lasts'), ms: fc.integer({ min: 1, max: 300 }) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async steps => {
      mock.timers.enable({ apis: ['setTimeout'] })
      let running = 0
      let lastsMs = 1
      const world = new World()
      world.work = async () => {
        assert.equal(++running, 1)
        await new Promise(resolve => setTimeout(resolve, lastsMs))
        world.watcher.follow(['/a', '/b'])
        running--
      }
      world.watcher.follow(['/a', '/b'])
      const eventsMs = [world.nowMs]
      for (const one of steps) {
        if ('ms' in one) {
          if (one.kind === 'lasts') lastsMs = one.ms
          else await world.pass(one.ms)
          continue
        }
        // Who is not watched tells nothing.
        if (one.kind !== 'make' && world.watched.includes(one.dir)) eventsMs.push(world.nowMs)
        if (one.kind === 'make') world.refusals.delete(one.dir)
        else if (one.kind === 'remove') world.remove(one.dir)
        else world.event(one.dir)
      }
      await world.pass(SOON_MS)
      mock.timers.reset()
      for (const ms of eventsMs)
        assert.ok(
          world.calls.some(callMs => callMs > ms && callMs <= ms + SOON_MS),
          `an event at ${ms}, calls at ${world.calls}`,
        )
      assert.deepEqual(world.warnings, [])
    }),
    { numRuns: 50 },
  )
})

describe('inotify', { skip: process.platform === 'linux' ? false : 'Linux only' }, () => {
  /** A watcher that looks at what is in the folders when called, and follows those there are. */
  function look(t: TestContext, root: string): { shows(wanted: string): Promise<void> } {
    const seen = (): string =>
      fs.existsSync(root)
        ? fs
            .readdirSync(root, { recursive: true, withFileTypes: true })
            .map(entry => {
              const path = join(entry.parentPath, entry.name)
              const name = path.slice(root.length + 1)
              return entry.isDirectory() ? `${name}/` : `${name}=${fs.readFileSync(path, 'utf8')}`
            })
            .sort()
            .join(' ')
        : 'none'
    let shown = ''
    let wake = (): void => {}
    const dirs = (): string[] => {
      const below = seen()
        .split(' ')
        .filter(name => name.endsWith('/'))
      return [root, ...below.map(name => join(root, name.slice(0, -1)))]
    }
    const watcher = new FolderWatcher({
      onChange: async () => {
        shown = seen()
        watcher.follow(dirs())
        wake()
      },
      onWarning: line => assert.fail(line),
      delayMs: 5,
      pollMs: 20,
    })
    watcher.follow(dirs())
    const held = setInterval(() => {}, 1000) // the watcher keeps no process alive
    t.after(async () => {
      clearInterval(held)
      await watcher.close()
    })
    return {
      /** Settles when a call has found exactly this. */
      shows: async wanted => {
        while (shown !== wanted)
          await new Promise<void>(resolve => {
            wake = resolve
          })
      },
    }
  }

  test('tells of a file that is made, written in place, replaced and removed', async t => {
    const root = makeTree(t, { a: '1' })
    const watcher = look(t, root)
    await watcher.shows('a=1')
    fs.writeFileSync(join(root, 'b'), '1')
    await watcher.shows('a=1 b=1')
    fs.writeFileSync(join(root, 'b'), '2')
    await watcher.shows('a=1 b=2')
    fs.appendFileSync(join(root, 'b'), '3')
    await watcher.shows('a=1 b=23')
    fs.renameSync(join(root, 'a'), join(root, 'b'))
    await watcher.shows('b=1')
    fs.rmSync(join(root, 'b'))
    await watcher.shows('')
  })

  test('tells of new folders, and of what is in them at once and later', async t => {
    const root = makeTree(t, { a: '1' })
    const watcher = look(t, root)
    await watcher.shows('a=1')
    fs.mkdirSync(join(root, 'd/e'), { recursive: true })
    fs.writeFileSync(join(root, 'd/e/f'), '1')
    await watcher.shows('a=1 d/ d/e/ d/e/f=1')
    fs.writeFileSync(join(root, 'd/e/f'), '2')
    await watcher.shows('a=1 d/ d/e/ d/e/f=2')
  })

  test('tells of a folder that is removed and made again', async t => {
    const root = makeTree(t, { 'd/f': '1' })
    const watcher = look(t, root)
    await watcher.shows('d/ d/f=1')
    fs.rmSync(join(root, 'd'), { recursive: true })
    await watcher.shows('')
    fs.mkdirSync(join(root, 'd'))
    await watcher.shows('d/')
    fs.writeFileSync(join(root, 'd/f'), '2')
    await watcher.shows('d/ d/f=2')
  })

  test('tells of a folder that is removed and made again at once, maybe as the same inode', async t => {
    const root = makeTree(t, { 'd/f': '1' })
    const watcher = look(t, root)
    await watcher.shows('d/ d/f=1')
    fs.rmSync(join(root, 'd'), { recursive: true })
    fs.mkdirSync(join(root, 'd'))
    await watcher.shows('d/')
    fs.writeFileSync(join(root, 'd/f'), '2')
    await watcher.shows('d/ d/f=2')
  })

  test('tells of the root that is removed and made again', async t => {
    const root = join(makeTree(t, { 'root/f': '1' }), 'root')
    const watcher = look(t, root)
    await watcher.shows('f=1')
    fs.rmSync(root, { recursive: true })
    await watcher.shows('none')
    fs.mkdirSync(root)
    fs.writeFileSync(join(root, 'f'), '2')
    await watcher.shows('f=2')
    fs.writeFileSync(join(root, 'f'), '3')
    await watcher.shows('f=3')
  })

  test('watches what stands in the place of a folder whose parent was moved away', async t => {
    const all = makeTree(t, { 'root/d/e/f': '1', 'next/d/e/f': '2' })
    const root = join(all, 'root')
    const watcher = look(t, root)
    await watcher.shows('d/ d/e/ d/e/f=1')
    fs.renameSync(join(root, 'd'), join(all, 'old'))
    fs.renameSync(join(all, 'next/d'), join(root, 'd'))
    await watcher.shows('d/ d/e/ d/e/f=2')
    fs.writeFileSync(join(root, 'd/e/f'), '3')
    await watcher.shows('d/ d/e/ d/e/f=3')
  })

  test('takes a folder that has become a loop of links for one that is gone', async t => {
    const root = makeTree(t, { 'd/f': '1' })
    const warnings: string[] = []
    const watcher = new FolderWatcher({
      onChange: async () => {},
      onWarning: line => warnings.push(line),
    })
    t.after(() => watcher.close())
    const dirs = [root, join(root, 'd')]
    watcher.follow(dirs)
    fs.rmSync(join(root, 'd'), { recursive: true })
    fs.symlinkSync('d', join(root, 'd'))
    watcher.follow(dirs)
    assert.deepEqual(warnings, [])
  })

  test('takes an entry with the name of its folder for no loss', async t => {
    const root = makeTree(t, { 'd/f': '1' })
    const watcher = look(t, root)
    await watcher.shows('d/ d/f=1')
    fs.writeFileSync(join(root, 'd/d'), '1')
    await watcher.shows('d/ d/d=1 d/f=1')
    fs.writeFileSync(join(root, 'd/f'), '2')
    await watcher.shows('d/ d/d=1 d/f=2')
  })
})

test('a watcher keeps no process alive', async t => {
  const root = makeTree(t, {})
  const module = new URL('../src/content/watch.js', import.meta.url)
  const script = `
    import { FolderWatcher } from '${module}'
    const watcher = new FolderWatcher({ onChange: async () => {}, onWarning: console.error })
    watcher.follow(process.argv.slice(1))`
  const argv = ['--input-type=module', '-e', script, root, join(root, 'missing')]
  const { status, stderr } = spawnSync(process.execPath, argv, { timeout: 20_000 })
  assert.deepEqual([status, String(stderr)], [0, ''])
})
