/** What clients may expect of trees that change while they are served (reloadTree.test.ts). */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, readlinkSync, renameSync, rmSync, symlinkSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { LiveFolder, put } from './liveFolder.ts'
import { MOUNTS } from './mounts.ts'
import { becomeNobody } from './nobody.ts'
import { needs } from './privileges.ts'
import { sha256 } from './tree.ts'
import { versionBody } from './versions.ts'

export interface TreeSuite {
  /** A root is exchanged so many times. */
  readonly releases: number
  /** Links are turned outside and back so many times. */
  readonly turns: number
  readonly newFiles: number
}

/** Of a release, which is small enough to lie in memory beside the one before. */
const NAMES = ['a.txt', 'b.txt', 'sub/c.txt', ...Array.from({ length: 60 }, (_, i) => `x/${i}`)]

/** Declares the tests. */
export function describeTreeReload({ releases, turns, newFiles }: TreeSuite): void {
  for (const mount of MOUNTS) {
    describe(`trees that change, ${mount.name}`, {
      ...needs(...mount.needs, 'curl'),
      timeout: 180_000,
    }, () => {
      let live: LiveFolder
      afterEach(async () => {
        await live?.remove()
      })

      it('have what is new, and not what is gone', async () => {
        live = await LiveFolder.serve(mount, { 'a.txt': 'a', 'sub/b.txt': 'b' })
        live.write('new.txt', 'new')
        live.write('deep/er/c.txt', 'c')
        renameSync(live.path('sub'), live.path('moved'))
        await live.serves({ '/new.txt': 'new', '/deep/er/c.txt': 'c', '/moved/b.txt': 'b' })
        await live.serves({ '/sub/b.txt': '404', '/sub': '404', '/a.txt': 'a' })
        live.write('deep/er/c.txt', 'other')
        renameSync(live.path('a.txt'), live.path('moved/a.txt'))
        unlinkSync(live.path('new.txt'))
        await live.serves({ '/deep/er/c.txt': 'other', '/moved/a.txt': 'a' })
        await live.serves({ '/a.txt': '404', '/new.txt': '404' })
        rmSync(live.path('deep'), { recursive: true })
        live.write('deep', 'a file now')
        await live.serves({ '/deep': 'a file now', '/deep/er/c.txt': '404' })
      })

      it('come back when they were moved away, be it the folder itself', async () => {
        live = await LiveFolder.serve(mount, { 'sub/deep/b.txt': 'b', 'a.txt': 'a' })
        const away = join(live.folder.path, 'away')
        renameSync(live.path('sub'), away)
        await live.serves({ '/sub/deep/b.txt': '404' })
        put(join(away, 'deep/c.txt'), 'c')
        renameSync(away, live.path('sub'))
        await live.serves({ '/sub/deep/b.txt': 'b', '/sub/deep/c.txt': 'c' })
        live.write('sub/deep/b.txt', 'other')
        await live.serves({ '/sub/deep/b.txt': 'other' })
        renameSync(live.path(''), away)
        await live.hasFailed()
        await live.serves({ '/sub/deep/b.txt': 'other' })
        put(join(away, 'sub/deep/b.txt'), 'last')
        renameSync(away, live.path(''))
        await live.serves({ '/sub/deep/b.txt': 'last', '/a.txt': 'a' })
        live.write('a.txt', 'still followed')
        await live.serves({ '/a.txt': 'still followed' })
      })

      it('are exchanged as a whole by a link, and the old one may go at once', async t => {
        const release = (n: number): string => join(live?.folder.path ?? '', `release-${n}`)
        const make = (folder: string, n: number): void => {
          for (const name of NAMES) put(join(folder, `release-${n}`, name), versionBody(n))
        }
        live = await LiveFolder.serve(mount, {}, [], folder => {
          make(folder, 1)
          symlinkSync('release-1', join(folder, 'site'))
        })
        const paths = ['/a.txt', '/sub/c.txt', '/b.txt', '/x/7', '/x/59']
        const readers = live.readers({ paths, connections: 32 })
        for (let n = 2; n <= releases; n++) {
          make(live.folder.path, n)
          // By turns as ln(1) does it, and in one step.
          if (n % 2 === 0) {
            const { status } = spawnSync('ln', [
              '-sfn',
              `release-${n}`,
              join(live.folder.path, 'site'),
            ])
            assert.equal(status, 0)
          } else {
            symlinkSync(`release-${n}`, join(live.folder.path, 'next'))
            renameSync(join(live.folder.path, 'next'), join(live.folder.path, 'site'))
          }
          rmSync(release(n - 1), { recursive: true })
          await sleep(n * 17)
        }
        await readers.haveSeen(releases)
        const { wrong, lost, statuses, answers, versions } = await readers.stop()
        t.diagnostic(`${answers} answers, ${versions} of ${releases} releases`)
        assert.deepEqual(wrong, [])
        assert.equal(lost, 0)
        assert.deepEqual(statuses, { 200: answers })
        await live.allFreed()
      })

      it('never show what lies outside, however links are turned meanwhile', async t => {
        const names = Array.from({ length: 200 }, (_, i) => `${i}.txt`)
        const inside = Object.fromEntries(names.map(name => [`dir/${name}`, versionBody(1)]))
        live = await LiveFolder.serve(mount, { ...inside, 'a.txt': versionBody(1) }, [], folder => {
          for (const name of names) put(join(folder, 'outside', name), 'SECRET\n'.repeat(100))
          symlinkSync('a.txt', join(folder, 'site/file'))
          symlinkSync('dir', join(folder, 'site/link'))
          symlinkSync('../outside', join(folder, 'turned'))
        })
        const paths = ['/file', '/link/7.txt', '/dir/7.txt', '/dir/150.txt', '/dir/199.txt']
        const readers = live.readers({ paths, connections: 16, pauseMs: 2 })
        await readers.haveSeen(1)
        const turn = (name: string, target: string): void => {
          const next = join(live.folder.path, 'next')
          symlinkSync(target, next)
          renameSync(next, live.path(name))
        }
        const [dir, link] = [live.path('dir'), join(live.folder.path, 'turned')]
        const kept = join(live.folder.path, 'kept')
        for (let i = 0; i < turns; i++) {
          turn('file', '../outside/0.txt')
          turn('link', '../outside')
          renameSync(dir, kept)
          renameSync(link, dir)
          await sleep(1)
          turn('file', 'a.txt')
          turn('link', 'dir')
          renameSync(dir, link)
          renameSync(kept, dir)
          await sleep(i % 3)
        }
        assert.equal(readlinkSync(live.path('link')), 'dir')
        await live.serves({
          '/file': versionBody(1).toString(),
          '/link/7.txt': versionBody(1).toString(),
        })
        const { wrong, lost, statuses } = await readers.stop()
        t.diagnostic(`${JSON.stringify(statuses)}, generation ${(await live.metrics()).generation}`)
        assert.deepEqual(wrong, [])
        assert.equal(lost, 0)
        // 503: was found, and lay elsewhere when it was to be read.
        assert.deepEqual(
          Object.keys(statuses).filter(status => !/200|404|503/.test(status)),
          [],
        )
      })

      it('follow what links lead to, also where nothing else is served', async () => {
        // As Kubernetes mounts a ConfigMap: a name, a link, a hidden folder of each version.
        live = await LiveFolder.serve(mount, {}, [], folder => {
          const site = join(folder, 'site')
          put(join(site, '..1/a.txt'), 'one')
          symlinkSync('..1', join(site, '..data'))
          symlinkSync('..data/a.txt', join(site, 'a.txt'))
        })
        await live.serves({ '/a.txt': 'one' })
        live.write('..2/a.txt', 'two')
        symlinkSync('..2', live.path('..next'))
        renameSync(live.path('..next'), live.path('..data'))
        rmSync(live.path('..1'), { recursive: true })
        await live.serves({ '/a.txt': 'two' })
        live.write('..2/a.txt', 'in place')
        await live.serves({ '/a.txt': 'in place' })
      })

      it('take up thousands of files at once, and clients do not feel it', async t => {
        live = await LiveFolder.serve(mount, { 'a.txt': versionBody(1) })
        const readers = live.readers({ paths: ['/a.txt'], connections: 64 })
        await readers.haveSeen(1)
        const files = Array.from({ length: newFiles }, (_, i) => {
          const bytes = Buffer.from(`${i}\n`.repeat(1 + (i % 500)))
          live.write(`new/${i % 100}/${i}.txt`, bytes)
          return { path: `/new/${i % 100}/${i}.txt`, bytes: bytes.length, sha256: sha256(bytes) }
        })
        const writtenMs = performance.now()
        await live.servesTree(files)
        t.diagnostic(
          `served ${Math.round(performance.now() - writtenMs)} ms after the last is written`,
        )
        const { wrong, lost, answers, statuses } = await readers.stop()
        assert.deepEqual([wrong, lost, statuses], [[], 0, { 200: answers }])
        const full = await live.metrics()
        renameSync(live.path('new'), join(live.folder.path, 'gone'))
        await live.serves({ '/new/0/0.txt': '404' })
        const { freeBytes } = await live.allFreed()
        assert.ok(freeBytes - full.freeBytes > files.reduce((sum, { bytes }) => sum + bytes, 0))
      })
    })
  }
}

/** Declares what needs one mount only. */
export function describePermissions(): void {
  describe('trees whose permissions change', {
    ...needs('root', 'ip', 'curl', 'unshare', 'setpriv'),
    timeout: 300_000,
  }, () => {
    it('are not served where they may not be read, and again where they may', async () => {
      const nobody = becomeNobody()
      const live = await LiveFolder.serve(
        MOUNTS[0],
        { 'a.txt': 'a', 'sub/b.txt': 'b' },
        ['--port', '8080'],
        folder => chmodSync(folder, 0o755),
        { prefix: nobody.prefix },
      )
      try {
        await live.serves({ '/a.txt': 'a', '/sub/b.txt': 'b' })
        chmodSync(live.path('a.txt'), 0)
        chmodSync(live.path('sub'), 0)
        await live.serves({ '/a.txt': '403', '/sub/b.txt': '404' })
        chmodSync(live.path('a.txt'), 0o644)
        chmodSync(live.path('sub'), 0o755)
        await live.serves({ '/a.txt': 'a', '/sub/b.txt': 'b' })
        live.write('sub/b.txt', 'other')
        await live.serves({ '/sub/b.txt': 'other' })
      } finally {
        await live.remove()
        nobody.remove()
      }
    })
  })
}
