/**
 * Our stack on an interface that is there already, beside the kernel: real clients at the other end
 * of a veth pair, the interface's address shared or one of our own, and what happens to the
 * interface when we are killed, it goes down, or it goes away.
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { assertArrives } from './kit/arrives.ts'
import { type Outcome, run, start } from './kit/command.ts'
import { curlTree } from './kit/curlTree.ts'
import { Namespace } from './kit/namespace.ts'
import { becomeNobody } from './kit/nobody.ts'
import { needs } from './kit/privileges.ts'
import { assertRefused, runCommand, Server, SITE } from './kit/server.ts'
import { makeTree, type Tree } from './kit/tree.ts'

const IF = 'web0'
const SHARED = '10.99.0.1'
const SHARED6 = 'fd99::1'
const OWN = '10.99.0.7'
const OWN6 = 'fd99::7'
const timeout = 120_000
const PACKET_RIGHTS = ['net_admin', 'net_raw', 'bpf', 'net_bind_service']
const RIGHTS = { packet: PACKET_RIGHTS, xdp: [...PACKET_RIGHTS, 'perfmon', 'ipc_lock'] }

/** A kernel's service, as ssh would be: says hello to whoever connects, at this port. */
const HELLO = `require('node:net').createServer(s => s.end('hello')).listen(Number(process.argv[1]), '::')`

for (const kind of ['packet', 'xdp'] as const) {
  describe(`over ${kind}`, {
    ...needs('root', 'ip', 'curl', 'ping', 'setpriv', 'unshare', 'wrk'),
    timeout,
  }, () => {
    const device = ['--device', `${kind}:${IF}`]
    let near: Namespace
    let far: Namespace
    let tree: Tree
    let server: Server | undefined

    before(() => {
      tree = makeTree(60)
      near = new Namespace()
      far = new Namespace()
    })
    afterEach(async () => {
      await server?.kill()
      server = undefined
    })
    beforeEach(() => {
      // The test that removes the interface leaves none to the next.
      if (!near.ip('link').includes(IF)) layCable()
    })
    after(() => {
      near?.remove()
      far?.remove()
      tree?.remove()
    })

    function layCable(): void {
      near.connect(IF, `${SHARED}/24`, far, 'client0', '10.99.0.2/24')
      near.ip('addr', 'add', `${SHARED6}/64`, 'dev', IF, 'nodad')
      far.ip('addr', 'add', 'fd99::2/64', 'dev', 'client0', 'nodad')
    }

    const serve = (...flags: string[]): Promise<Server> =>
      Server.serve([tree.dir, ...device, ...flags], { namespace: near })

    const ping = async (address: string): Promise<number> =>
      (await run(['ping', '-c', '1', '-W', '2', address], { namespace: far })).code

    const curl = (url: string, ...flags: string[]): Promise<Outcome> =>
      run(['curl', '-sS', '-g', '-m', '10', ...flags, url], { namespace: far })

    for (const [whose, address, address6, flags] of [
      ["the interface's address", SHARED, SHARED6, []],
      ['an address of our own', OWN, OWN6, ['--address', `${OWN}/24`, '--address6', `${OWN6}/64`]],
    ] as const) {
      it(`serves a tree at ${whose}, and leaves the kernel its own`, async () => {
        server = await serve(...flags)
        assert.equal(server.device, `${kind}:${IF}`)
        assert.equal(server.url, `http://${address}:80`)
        await assertArrives(server.url, tree.files, far)
        const six = await curlTree(`http://[${address6}]`, tree.files.slice(0, 20), {
          namespace: far,
        })
        assert.deepEqual(six.wrong, [])
        for (const to of [SHARED, SHARED6, address, address6]) assert.equal(await ping(to), 0, to)
        const { stdout } = await run(['wrk', '-t1', '-c32', '-d1', `${server.url}/`], {
          namespace: far,
        })
        assert.match(stdout, /Requests\/sec/)
        assert.doesNotMatch(stdout, /Socket errors/)
        await server.stopDrained()
      })
    }

    if (kind === 'xdp') {
      it('loses no frame when the driver is to be run by our calls', async () => {
        server = await serve('--busy-poll', '20')
        await assertArrives(server.url, tree.files, far)
        const { device: stats } = await server.stopDrained()
        assert.deepEqual([stats['rxDropped'], stats['txDropped']], [0, 0])
      })
    }

    it('lets a service of the kernel on the same address be, and the client see no difference', async () => {
      const service = start([process.execPath, '-e', HELLO, '2222'], { namespace: near })
      try {
        server = await serve()
        for (let i = 0; i < 20; i++) {
          const [ours, theirs]: Outcome[] = await Promise.all([
            curl(`${server.url}${tree.files[0].path}`, '-o', '/dev/null', '-w', '%{http_code}'),
            curl(`telnet://${SHARED}:2222`),
          ])
          assert.deepEqual([ours.stdout, theirs.stdout], ['200', 'hello'], theirs.stderr)
        }
        await server.stopDrained()
      } finally {
        service.kill('SIGKILL')
      }
    })

    it('leaves nothing after kill -9: the kernel answers at once, and so does the next start', async () => {
      server = await serve()
      await server.kill()
      const { code } = await curl(server.url, '-o', '/dev/null')
      assert.equal(code, 7, 'the kernel refuses the connection (RST), so it sees the packets')
      assert.equal(
        (await run(['ip', 'link', 'show', IF], { namespace: near })).stdout.includes('xdp'),
        false,
      )
      server = await serve()
      assert.equal((await curl(`${server.url}${tree.files[0].path}`, '-o', '/dev/null')).code, 0)
      await server.stopDrained()
    })

    it('goes on with a download when the interface goes down and comes back', async () => {
      server = await serve()
      const largest = tree.files.reduce((a, b) => (a.bytes > b.bytes ? a : b))
      const url = `${server.url}${largest.path}`
      const flags = ['--limit-rate', `${Math.ceil(largest.bytes / 3)}`, '-o', '/dev/null']
      const download = curl(url, ...flags, '-m', '60', '-w', '%{http_code} %{size_download}')
      await new Promise(resolve => setTimeout(resolve, 1000))
      near.ip('link', 'set', IF, 'down')
      await new Promise(resolve => setTimeout(resolve, 700))
      near.ip('link', 'set', IF, 'up')
      const { stdout, stderr } = await download
      assert.equal(stdout, `200 ${largest.bytes}`, stderr)
      await server.stop()
      // IPv6 addresses do not outlive an interface that was down.
      near.ip('addr', 'replace', `${SHARED6}/64`, 'dev', IF, 'nodad')
    })

    it('ends with one clear line and exit code 1 when the interface is removed', async () => {
      server = await serve()
      near.ip('link', 'delete', IF)
      const limit = Date.now() + 10_000
      while (server.isRunning && Date.now() < limit) await new Promise(r => setTimeout(r, 50))
      assert.equal(server.exitCode, 1)
      const complaint = new RegExp(`^sandstorm: ${kind}:${IF} was removed \\(E[A-Z]+\\)$`, 'm')
      assert.match(server.stderr, complaint)
    })

    it('ends with one clear line and exit code 1 when the interface gets another hardware address', async () => {
      server = await serve()
      near.ip('link', 'set', IF, 'address', '02:00:00:00:77:01')
      const limit = Date.now() + 10_000
      while (server.isRunning && Date.now() < limit) await new Promise(r => setTimeout(r, 50))
      assert.equal(server.exitCode, 1)
      const complaint = new RegExp(
        `^sandstorm: ${kind}:${IF} has another hardware address now,`,
        'm',
      )
      assert.match(server.stderr, complaint)
      server = await serve()
      assert.equal((await curl(`${server.url}${tree.files[0].path}`, '-o', '/dev/null')).code, 0)
      await server.stopDrained()
    })

    it('refuses what cannot be, in one line that says what to do', async () => {
      const refused = async (what: RegExp, ...flags: string[]): Promise<void> =>
        assertRefused(await runCommand(['serve', tree.dir, ...flags], near), what)
      await refused(/no such interface.*there are web0/, '--device', `${kind}:nope`)
      await refused(/no Ethernet/, '--device', `${kind}:lo`)
      await refused(/MTU 9000.*ip link set web0 mtu 9000/, ...device, '--mtu', '9000')
      await refused(/--host-address.*TAP/, ...device, '--host-address', '10.99.0.3')
      await refused(/belongs to the interface/, ...device, '--address', SHARED, '--address', OWN)
      await refused(/10\.99\.0\.7\/32.*with its subnet/, ...device, '--address', `${OWN}/32`)
      near.ip('link', 'set', IF, 'down')
      await refused(/is down.*ip link set web0 up/, ...device)
      near.ip('link', 'set', IF, 'up')
      near.ip('addr', 'replace', `${SHARED6}/64`, 'dev', IF, 'nodad')
    })

    it('runs without root, with the capabilities that docs/devices.md names, and says which are missing', async () => {
      const rights = RIGHTS[kind]
      const nobody = becomeNobody(...rights)
      const args = [SITE, ...device]
      server = await Server.serve(args, { namespace: near, ...nobody })
      assert.equal((await curl(server.url, '-o', '/dev/null')).code, 0)
      await server.stopDrained()
      nobody.remove()
      for (const missing of rights) {
        const less = becomeNobody(...rights.filter(right => right !== missing))
        await assert.rejects(
          Server.serve(args, { namespace: near, ...less }),
          new RegExp(`ended with code 2.*(cap_${missing}|CAP_IPC_LOCK)`, 's'),
          missing,
        )
        less.remove()
      }
    })

    it('refuses a port where the kernel listens, and a second start, which leaves the first alone', async () => {
      const service = start([process.execPath, '-e', HELLO, '80'], { namespace: near })
      try {
        await new Promise(resolve => setTimeout(resolve, 500))
        const busy = /port 80: address already in use.*listens there/
        assertRefused(await runCommand(['serve', tree.dir, ...device], near), busy)
      } finally {
        service.kill('SIGKILL')
      }
      for (const flags of [[], ['--address', `${OWN}/24`]]) {
        server = await serve(...flags)
        const again = await runCommand(['serve', tree.dir, ...device, ...flags], near)
        assertRefused(again, /in use|busy/)
        assert.equal((await curl(`${server.url}${tree.files[0].path}`, '-o', '/dev/null')).code, 0)
        await server.stopDrained()
      }
    })
  })
}
