/**
 * Chromium on both mounts: the example site with all that its pages need, a page a second time from
 * the cache, and a recording in which it jumps, which a server without ranges would not let it.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { Browser } from '../kit/browser.ts'
import { MOUNTS, Mounted } from '../kit/mounts.ts'
import { needs } from '../kit/privileges.ts'
import { SITE } from '../kit/server.ts'
import { type TemporaryFolder, temporaryFolder } from '../kit/temporary.ts'
import { readTree } from '../kit/tree.ts'

const RATE_HZ = 8000
/** Far more than a browser reads ahead (60 s would be 1 MB, read at once). */
const LONG_SECONDS = 1800
const SHORT_SECONDS = 60

for (const mount of MOUNTS) {
  const needed = needs(...mount.needs, 'chromium')

  describe(`Chromium ${mount.name}`, { ...needed, timeout: 300_000 }, () => {
    let site: Mounted
    let radio: Mounted
    let folder: TemporaryFolder
    let browser: Browser

    before(async () => {
      folder = temporaryFolder('radio')
      for (const [name, seconds] of [
        ['short', SHORT_SECONDS],
        ['long', LONG_SECONDS],
      ] as const) {
        writeFileSync(join(folder.path, `${name}.wav`), recording(seconds))
        writeFileSync(join(folder.path, `${name}.html`), page(name))
      }
      site = await Mounted.serve(mount, SITE)
      radio = await Mounted.serve(mount, folder.path)
    })
    afterEach(() => browser?.close())
    after(async () => {
      await site?.remove()
      await radio?.remove()
      folder?.remove()
    })

    it('shows the example site with all that it needs', async () => {
      browser = await Browser.start(site.namespace)
      for (const path of ['/', '/gallery/']) await browser.open(site.url + path)
      assert.deepEqual(browser.failures, [])
      const statuses = new Set(browser.fetched.map(({ status }) => status))
      assert.deepEqual([...statuses], [200])
      const paths = browser.fetched.map(({ url }) => new URL(url).pathname)
      const pictures = readTree(SITE).filter(({ path }) => path.startsWith('/gallery/images/'))
      for (const { path } of pictures) assert.ok(paths.includes(path), path)
      for (const path of ['/style.css', '/arrived.js']) assert.ok(paths.includes(path), path)
      const said = 'document.getElementById("arrived").textContent'
      assert.match(
        await browser.evaluate<string>(said),
        new RegExp(`^${pictures.length} of ${pictures.length} images arrived`),
      )
      const seen = '[...document.images].every(image => image.naturalWidth > 0)'
      assert.equal(await browser.evaluate<boolean>(seen), true)
    })

    for (const [name, seconds] of [
      ['short', SHORT_SECONDS],
      ['long', LONG_SECONDS],
    ] as const) {
      it(`jumps in a recording of ${seconds} s`, async () => {
        browser = await Browser.start(radio.namespace)
        await browser.open(`${radio.url}/${name}.html`)
        const to = seconds * 0.75
        const state = await browser.evaluate<AudioState>(`jump(${to})`)
        assert.equal(state.error, null)
        assert.equal(state.duration, seconds)
        assert.equal(state.seekableEnd, seconds)
        assert.equal(state.currentTime, to)
        // It plays from there: what is there has arrived.
        assert.ok(state.playedFrom === to && state.playedTo > to, JSON.stringify(state))
        assert.deepEqual(browser.failures, [])
        const asked = browser.fetched.filter(({ url }) => url.endsWith('.wav'))
        assert.deepEqual([...new Set(asked.map(({ status }) => status))], [206])
        const starts = asked.map(({ fields }) =>
          Number(/^bytes (\d+)-/.exec(fields['content-range'])?.[1]),
        )
        const place = 44 + to * RATE_HZ * 2
        if (seconds === LONG_SECONDS) {
          // A cluster's beginning, some way before.
          const near = starts.filter(start => start > place / 2 && start <= place)
          assert.ok(near.length > 0, `ranges from ${starts}`)
        }
      })
    }

    it('leaves nothing behind', async () => {
      await site.stopEmpty()
      await radio.stopEmpty()
    })
  })
}

interface AudioState {
  readonly error: string | null
  readonly duration: number
  readonly seekableEnd: number
  readonly currentTime: number
  readonly playedFrom: number
  readonly playedTo: number
}

/** A page with a recording, and how to jump in it and play what is there. */
const page = (name: string): string => `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Radio</title><link rel="icon" href="data:,">
<audio preload="metadata" src="${name}.wav"></audio>
<script>
const audio = document.querySelector('audio')
const happens = name => new Promise((resolve, reject) => {
  audio.addEventListener(name, resolve, { once: true })
  audio.addEventListener('error', () => reject(audio.error.message), { once: true })
})
async function jump(to) {
  let error = null
  let currentTime = 0
  try {
    if (audio.readyState < 1) await happens('loadedmetadata')
    const sought = happens('seeked')
    audio.currentTime = to
    await sought
    currentTime = audio.currentTime
    await audio.play()
    while (audio.currentTime <= to) await happens('timeupdate')
    audio.pause()
  } catch (reason) {
    error = String(reason)
  }
  const { duration, seekable, played } = audio
  const [playedFrom, playedTo] = played.length > 0 ? [played.start(0), played.end(0)] : [-1, -1]
  const seekableEnd = seekable.length > 0 ? seekable.end(0) : -1
  return { error, duration, seekableEnd, currentTime, playedFrom, playedTo }
}
</script></html>
`

/** A tone in a WAV file: PCM, 16 bits, one channel. */
function recording(seconds: number): Buffer {
  const bytes = seconds * RATE_HZ * 2
  const file = Buffer.alloc(44 + bytes)
  file.write('RIFF', 0)
  file.writeUInt32LE(36 + bytes, 4)
  file.write('WAVEfmt ', 8)
  file.writeUInt32LE(16, 16)
  file.writeUInt16LE(1, 20) // PCM
  file.writeUInt16LE(1, 22) // channels
  file.writeUInt32LE(RATE_HZ, 24)
  file.writeUInt32LE(RATE_HZ * 2, 28)
  file.writeUInt16LE(2, 32)
  file.writeUInt16LE(16, 34)
  file.write('data', 36)
  file.writeUInt32LE(bytes, 40)
  for (let i = 0; i < seconds * RATE_HZ; i++) {
    file.writeInt16LE(Math.round(8000 * Math.sin(i / 10)), 44 + 2 * i)
  }
  return file
}
