/**
 * A Linux client far away, in real time: 40 ms of round trip, 20 Mbit/s, a queue that overflows,
 * and random loss in both directions. Everything arrives, byte for byte, and the server forgets it
 * all. How fast is the benchmark's question: `npm run bench -- lossy`.
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { run } from '../kit/command.ts'
import { curlTree } from '../kit/curlTree.ts'
import { LossyLink } from '../kit/lossyLink.ts'
import { Namespace } from '../kit/namespace.ts'
import { needs } from '../kit/privileges.ts'
import { Server } from '../kit/server.ts'
import { makeTree, type Tree, type TreeFile } from '../kit/tree.ts'

const MB = 1024 * 1024
/** The kernel's end of the server's TAP needs an address, too: one that is in nobody's way. */
const FLAGS = ['--device', 'tap', '--host-address', '10.77.0.254/24']
const TAP = 'sand0'

describe('behind a long and lossy link', { ...needs('root', 'tun', 'ip', 'curl') }, () => {
  let tree: Tree
  let client: Namespace
  let behind: Namespace
  let server: Server | undefined

  before(() => {
    tree = makeTree(12)
  })
  beforeEach(() => {
    client = new Namespace()
    behind = new Namespace()
  })
  afterEach(async () => {
    await server?.kill()
    server = undefined
    client.remove()
    behind.remove()
  })
  after(() => tree?.remove())

  const start = async (link: LossyLink, flags: string[] = []): Promise<Server> => {
    server = await Server.serve([tree.dir, ...FLAGS, ...flags], { namespace: behind })
    link.plug(TAP)
    return server
  }
  const filesUpTo = (bytes: number): TreeFile[] => tree.files.filter(file => file.bytes <= bytes)

  it('a handshake takes the round trip', async () => {
    const link = await LossyLink.lay(client, behind)
    const { url } = await start(link)
    const { path } = tree.files.find(file => file.bytes > 0)!
    const format = '%{time_connect} %{time_total}\\n'
    const argv = ['curl', '--disable', '--silent', '--output', '/dev/null', '--write-out', format]
    // The first time also asks for hardware addresses.
    await run([...argv, url + path], { namespace: client })
    const { stdout } = await run([...argv, url + path], { namespace: client })
    const [connect, total] = stdout.split(' ').map(Number)
    assert.ok(connect >= 0.04, `connected after ${connect} s`)
    assert.ok(total >= 0.08, `answered after ${total} s`)
    const stats = await link.cut()
    assert.equal(stats.toClient.lost + stats.toServer.lost, 0)
  })

  for (const [loss, bytes, mtu] of [
    [0, 5 * MB, 1500],
    [0.02, MB, 1500],
    [0.05, 100 * 1024, 1500],
    [0.02, 100 * 1024, 576],
  ]) {
    it(`all arrives with ${loss * 100} % loss and an MTU of ${mtu}`, async () => {
      const link = await LossyLink.lay(client, behind, { loss, mtu })
      const running = await start(link, ['--mtu', String(mtu)])
      const fetched = await curlTree(running.url, filesUpTo(bytes), { namespace: client })
      assert.deepEqual(fetched.wrong, [])
      await running.stopDrained()
      const { toClient } = await link.cut()
      const share = toClient.lost / toClient.sent
      assert.ok(loss === 0 ? share === 0 : share > loss / 4, `${share} was lost`)
    })
  }
})
