/**
 * A browser, headless, on the example page over TAP: it opens its own connections, asks for all
 * pictures at once and lays them out. The page's own script counts what arrived and writes it into
 * the document. A screenshot stays in `artifacts/`, which git ignores.
 */
import assert from 'node:assert/strict'
import { mkdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { run } from '../kit/command.ts'
import { Namespace } from '../kit/namespace.ts'
import { needs } from '../kit/privileges.ts'
import { ROOT, Server, SITE } from '../kit/server.ts'
import { temporaryFolder } from '../kit/temporary.ts'
import { readTree } from '../kit/tree.ts'

const ARTIFACTS = `${ROOT}artifacts`
/**
 * Virtual milliseconds that the page may take; the browser's clock stands while it waits for us.
 */
const BUDGET_MS = 20_000

describe('Chromium', { ...needs('root', 'tun', 'ip', 'chromium'), timeout: 300_000 }, () => {
  let namespace: Namespace
  let server: Server
  let profile: string

  before(async () => {
    profile = temporaryFolder('chromium').path
    namespace = new Namespace()
    server = await Server.serve([SITE, '--device', 'tap'], { namespace })
  })
  after(async () => {
    await server?.kill()
    namespace?.remove()
  })

  const browse = async (...flags: string[]): Promise<string> => {
    // No sandbox: it refuses to run as root, and the page is ours.
    const quiet = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage']
    const page = [`--user-data-dir=${profile}`, `--virtual-time-budget=${BUDGET_MS}`]
    const url = `${server.url}/gallery/`
    const { stdout } = await run(['chromium', ...quiet, ...page, ...flags, url], { namespace })
    return stdout
  }

  it('shows the example page with every picture', async () => {
    const pictures = readTree(SITE).filter(file => file.path.startsWith('/gallery/images/')).length
    assert.ok(pictures >= 40, `${pictures} pictures to show`)
    const dom = await browse('--dump-dom')
    const counter = /<output id="arrived"[^>]*>[^<]*/.exec(dom)?.[0]
    assert.ok(counter, dom)
    assert.match(counter, /data-state="complete"/)
    assert.match(counter, new RegExp(`>${pictures} of ${pictures} images arrived`))
  })

  it('leaves a screenshot', async () => {
    mkdirSync(ARTIFACTS, { recursive: true })
    const file = join(ARTIFACTS, 'gallery.png')
    rmSync(file, { force: true })
    await browse(`--screenshot=${file}`, '--window-size=1280,2400')
    assert.ok(statSync(file).size > 100_000, 'a picture full of pictures')
  })

  it('leaves nothing behind in the server', async () => {
    await server.stopDrained()
  })
})
