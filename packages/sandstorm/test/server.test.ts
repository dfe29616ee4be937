import assert from 'node:assert/strict'
import { test } from 'node:test'
import { World } from './kit/world.ts'

const FILES = { '/a.html': 22_000, '/empty.txt': 0, '/one.txt': 1, '/big.bin': 300_001 }

for (const transmit of ['template', 'gather', 'copy'] as const) {
  test(`every file arrives byte for byte: ${transmit}`, () => {
    const world = new World(FILES, { transmit })
    for (const [path, body] of world.site.bodies) {
      const answer = world.fetch(path)
      assert.equal(answer.status, 200)
      assert.deepEqual(answer.body, body)
    }
  })
}

for (const cc of [undefined, 'cubic', 'newreno'] as const) {
  test(`congestion control is what was asked for, cubic by default: ${cc}`, () => {
    const world = new World(FILES, { cc })
    assert.equal(world.server.stack.tcp.cc.name, cc ?? 'cubic')
    assert.equal(world.fetch('/big.bin').body.length, 300_001)
  })
}
