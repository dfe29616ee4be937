/**
 * Ten thousand connections that are kept alive and ask for nothing: other clients are served as if
 * nobody was there, each of the crowd can ask again, and when they leave nothing of them stays.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { assertArrives } from '../kit/arrives.ts'
import { Crowd } from '../kit/crowd.ts'
import { MOUNTS, Mounted } from '../kit/mounts.ts'
import { needs } from '../kit/privileges.ts'
import { makeTree, type Tree } from '../kit/tree.ts'

const COUNT = 10_000
/** The kernel's mount refuses the 10,001st: there must be room for the others. */
const KERNEL_COUNT = 9_500

for (const mount of MOUNTS) {
  const needed = needs(...mount.needs, 'curl', 'prlimit')
  const count = mount.needs.includes('tun') ? COUNT : KERNEL_COUNT

  describe(`${count} connections ${mount.name}`, { ...needed, timeout: 300_000 }, () => {
    let tree: Tree
    let mounted: Mounted
    let crowd: Crowd

    before(async () => {
      tree = makeTree(60)
      mounted = await Mounted.serve(mount, tree.dir)
    })
    after(async () => {
      await mounted?.remove()
      tree?.remove()
    })

    it('come, are answered and stay', async () => {
      const { path, bytes } = tree.files.find(file => file.bytes === 2048)!
      const { url, namespace } = mounted
      crowd = await Crowd.gather({ url, namespace, path, bytes, count })
      assert.equal(await mounted.countConnections(), count)
    })

    it('leave others everything', async () => {
      const { url, namespace } = mounted
      await assertArrives(url, tree.files, namespace)
      assert.ok((await mounted.countConnections()) >= count, 'the crowd is still there')
    })

    it('are all answered once more, and leave nothing behind', async () => {
      await crowd.askAndLeave()
      await mounted.stopEmpty()
    })
  })
}
