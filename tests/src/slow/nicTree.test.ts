/**
 * The 1,000-file tree of tree.test.ts through an interface that is there, beside the kernel: by packet
 * sockets and by AF_XDP, with two clients that share no code and a load generator; and the same of two
 * workers.
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { run } from '../kit/command.ts'
import { curlTree } from '../kit/curlTree.ts'
import { fetchTree } from '../kit/fetchTree.ts'
import { Namespace } from '../kit/namespace.ts'
import { needs } from '../kit/privileges.ts'
import { Server } from '../kit/server.ts'
import { makeTree, type Tree } from '../kit/tree.ts'

const limitMs = 600_000
const FAULTS = 'drop=0.02,dup=0.01,reorder=0.02,corrupt=0.01,seed=1'

describe('1,000 files', { ...needs('root', 'ip', 'curl', 'wrk'), timeout: 1_200_000 }, () => {
  let near: Namespace
  let far: Namespace
  let tree: Tree
  let server: Server | undefined

  before(() => {
    tree = makeTree(1000)
    near = new Namespace()
    far = new Namespace()
    near.connect('web0', '10.99.0.1/24', far, 'client0', '10.99.0.2/24')
    near.connect('web1', '10.98.0.1/24', far, 'client1', '10.98.0.2/24', 2)
  })
  afterEach(() => server?.kill())
  after(() => {
    near?.remove()
    far?.remove()
    tree?.remove()
  })

  for (const [device, ...workers] of [
    ['packet:web0'],
    ['xdp:web0'],
    ['packet:web1', '--workers', '2'],
    ['xdp:web1', '--workers', '2'],
  ]) {
    const how = [device, ...workers].join(' ')
    const bad = ['a bad link', ['--fault', FAULTS]] as const
    // Several workers over a good link are workers.test.ts's.
    const links = workers.length > 0 ? [bad] : [['a good link', []] as const, bad]
    for (const [link, flags] of links) {
      it(`arrive by ${how} over ${link}, on kept connections and on new ones`, async () => {
        const args = [tree.dir, '--device', device, ...workers, ...flags]
        server = await Server.serve(args, { namespace: near })
        for (const close of [false, true]) {
          for (const fetch of [fetchTree, curlTree]) {
            const options = { namespace: far, close, limitMs }
            const { wrong } = await fetch(server.url, tree.files, options)
            assert.deepEqual(wrong, [], fetch.name)
          }
        }
        await server.stopDrained()
      })
    }

    it(`arrive by ${how} while wrk asks for others from 64 connections`, async () => {
      const args = [tree.dir, '--device', device, ...workers]
      server = await Server.serve(args, { namespace: near })
      const load = run(['wrk', '-t1', '-c64', '-d10', `${server.url}/`], { namespace: far })
      const { wrong } = await curlTree(server.url, tree.files, { namespace: far, limitMs })
      assert.deepEqual(wrong, [])
      const { stdout } = await load
      assert.match(stdout, /Requests\/sec/)
      assert.doesNotMatch(stdout, /Socket errors/)
      await server.stopDrained()
    })
  }
})
