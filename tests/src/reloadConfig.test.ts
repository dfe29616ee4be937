/**
 * SIGHUP as an operator sends it, on both mounts: answers are of the old configuration or of the
 * new one, never of both, no connection is lost, and a file with mistakes changes nothing.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { LiveFolder, put } from './kit/liveFolder.ts'
import { MOUNTS, type Mount } from './kit/mounts.ts'
import { needs } from './kit/privileges.ts'
import { versionBody } from './kit/versions.ts'

const CONFIGS = 12

/** Configuration `n` serves folder `n`, and says so in each head. */
const config = (folder: string, n: number): string => `
[[sites]]
root = "${join(folder, `${n}`)}"
[[sites.rules]]
match = "**"
headers = { X-Config = "${n}" }
`

for (const mount of MOUNTS) {
  describe(`SIGHUP, ${mount.name}`, {
    ...needs(...mount.needs, 'curl'),
    timeout: 300_000,
  }, () => {
    let live: LiveFolder
    afterEach(async () => {
      await live?.remove()
    })

    const file = (): string => join(live.folder.path, 'sandstorm.toml')
    const serve = (of: Mount): Promise<LiveFolder> =>
      LiveFolder.serveConfig(of, folder => {
        for (let n = 1; n <= CONFIGS; n++) put(join(folder, `${n}/a.txt`), versionBody(n))
        return config(folder, 1)
      })
    const change = (text: string): void => {
      writeFileSync(file(), text)
      live.mounted.server.signal('SIGHUP')
    }

    it('brings another configuration as a whole, under load', async t => {
      live = await serve(mount)
      const readers = live.readers({ paths: ['/a.txt'], connections: 64 })
      await readers.haveSeen(1)
      for (let n = 2; n <= CONFIGS; n++) {
        change(config(live.folder.path, n))
        if (n % 3 === 0) await readers.haveSeen(n)
        else await sleep(n * 7)
      }
      await readers.haveSeen(CONFIGS)
      const { wrong, lost, statuses, answers, versions } = await readers.stop()
      t.diagnostic(`${answers} answers of ${versions} configurations`)
      assert.deepEqual([wrong, lost, statuses], [[], 0, { 200: answers }])
      await live.allFreed()
    })

    it('stays, whatever files change at the same time', async () => {
      live = await serve(mount)
      const readers = live.readers({ paths: ['/a.txt'], connections: 16 })
      let isOver = false
      const restless = (async () => {
        for (let i = 0; !isOver; i++) {
          for (let n = 1; n <= CONFIGS; n++) put(join(live.folder.path, `${n}/b.txt`), `${i}`)
          await sleep(5)
        }
      })()
      for (let n = 2; n <= CONFIGS; n++) {
        change(config(live.folder.path, n))
        await readers.haveSeen(n)
      }
      const { generation } = await live.metrics()
      while ((await live.metrics()).generation < generation + 3) await sleep(50)
      isOver = true
      await restless
      const { wrong, lost } = await readers.stop()
      assert.deepEqual([wrong, lost], [[], 0])
    })

    it('changes nothing if there is a mistake, and says it', async () => {
      live = await serve(mount)
      const { server } = live.mounted
      const readers = live.readers({ paths: ['/a.txt'], connections: 16 })
      await readers.haveSeen(1)
      for (const [text, says] of [
        ['[[sites]\n', /sandstorm\.toml/],
        [`${config(live.folder.path, 2)}rots = 1\n`, /rots/],
        [config(join(live.folder.path, 'gone'), 2), /no such folder|not a folder|gone/],
      ] as const) {
        const before = server.stderr.length
        change(text)
        while (!server.stderr.slice(before).includes('serving goes on as before')) await sleep(20)
        assert.match(server.stderr.slice(before), says)
        await live.serves({ '/a.txt': versionBody(1).toString() })
      }
      change(config(live.folder.path, 3))
      await readers.haveSeen(3)
      const { wrong, lost, versions } = await readers.stop()
      assert.deepEqual([wrong, lost, versions], [[], 0, 2])
    })

    it('is not needed after kill -9: a second start serves what is there', async () => {
      live = await serve(mount)
      const readers = live.readers({ paths: ['/a.txt'], connections: 16 })
      await readers.haveSeen(1)
      change(config(live.folder.path, 2))
      await live.mounted.restart()
      await readers.haveSeen(2)
      const { wrong, lost } = await readers.stop()
      assert.deepEqual(wrong, [])
      assert.ok(lost >= 16, 'connections went with the first')
      put(join(live.folder.path, '2/b.txt'), 'new')
      await live.serves({ '/b.txt': 'new' })
    })
  })
}
