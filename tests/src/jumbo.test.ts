/**
 * An interface with jumbo frames, as a client of the kernel's at the other end of the cable sees it:
 * over AF_XDP packets that lie in several chunks, both ways, for one worker and for two.
 */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { run } from './kit/command.ts'
import { Namespace } from './kit/namespace.ts'
import { needs } from './kit/privileges.ts'
import { assertRefused, runCommand, Server } from './kit/server.ts'
import { type TemporaryFolder, temporaryFolder } from './kit/temporary.ts'

const MTU = 9000
const BYTES = 5 * 2 ** 20
/** IPv4 and TCP with timestamps take 52 bytes of the MTU. */
const SEGMENTS = Math.ceil(BYTES / (MTU - 52))
/** A head that takes more than one chunk. */
const LONG_FIELD = `X-Long: ${'x'.repeat(5000)}`
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

describe('jumbo frames', {
  ...needs('root', 'ip', 'curl', 'ping'),
  timeout: 120_000,
}, () => {
  let near: Namespace
  let far: Namespace
  let folder: TemporaryFolder
  let server: Server | undefined
  const body = randomBytes(BYTES)

  before(() => {
    folder = temporaryFolder('jumbo')
    writeFileSync(join(folder.path, 'body.bin'), body)
    near = new Namespace()
    far = new Namespace()
    for (const workers of [1, 2]) {
      near.connect(
        `web${workers}`,
        `10.9${workers}.0.1/24`,
        far,
        `client${workers}`,
        `10.9${workers}.0.2/24`,
        workers,
      )
      near.ip('link', 'set', `web${workers}`, 'mtu', `${MTU}`)
      far.ip('link', 'set', `client${workers}`, 'mtu', `${MTU}`)
    }
  })
  afterEach(async () => {
    await server?.kill()
    server = undefined
  })
  after(() => {
    near?.remove()
    far?.remove()
    folder?.remove()
  })

  async function download(url: string): Promise<void> {
    const path = join(folder.path, 'copy.bin')
    const flags = ['-sS', '-m', '30', '-H', LONG_FIELD, '-w', '%{http_code}', '-o', path]
    const { stdout, stderr } = await run(['curl', ...flags, `${url}/body.bin`], { namespace: far })
    assert.equal(stdout, '200', stderr)
    assert.equal(sha256(readFileSync(path)), sha256(body))
  }

  for (const workers of [1, 2]) {
    const device = ['--device', `xdp:web${workers}`, '--workers', `${workers}`]
    const own = `10.9${workers}.0.7`
    it(`carry downloads and long requests over xdp, workers: ${workers}`, async () => {
      const flags = [...device, '--address', `${own}/24`]
      server = await Server.serve([folder.path, ...flags], { namespace: near })
      for (let i = 0; i < 4; i++) await download(server.url)
      const ping = ['ping', '-c', '3', '-i', '0.2', '-W', '2', '-M', 'do', '-s', `${MTU - 28}`, own]
      const { code, stdout } = await run(ping, { namespace: far })
      assert.equal(code, 0, stdout)
      const { device: stats } = await server.stopDrained()
      assert.equal(stats['rxDropped'], 0)
      const frames = stats['txFrames']
      assert.ok(frames >= 4 * SEGMENTS && frames < 4 * 1.2 * SEGMENTS, `${frames} frames left`)
    })
  }

  it('have a place in the memory that is asked for, over packet with several workers', async () => {
    const device = ['--device', 'packet:web1', '--workers', '3', '--transmit', 'copy']
    const flags = [folder.path, ...device, '--memory']
    const refused = await runCommand(['serve', ...flags, '160MiB'], near)
    assertRefused(refused, /it needs \d+MiB of memory/)
    const [, needed] = /it needs (\d+MiB)/.exec(refused.stderr) ?? []
    server = await Server.serve([...flags, needed], { namespace: near })
    await download(server.url)
  })

  it('are as long as --mtu says, and that no longer than the interface or 9000 bytes', async () => {
    const device = ['--device', 'xdp:web1']
    server = await Server.serve([folder.path, ...device, '--mtu', '5000'], { namespace: near })
    await download(server.url)
    const { device: stats } = await server.stopDrained()
    assert.ok(stats['txFrames'] > BYTES / 5000, `${stats['txFrames']} frames left`)
    near.ip('link', 'set', 'web1', 'mtu', '8000')
    const refused = await runCommand(['serve', folder.path, ...device, '--mtu', '9000'], near)
    assertRefused(refused, /MTU 9000.*the interface takes 8000/)
    near.ip('link', 'set', 'web1', 'mtu', `${MTU}`)
  })
})
