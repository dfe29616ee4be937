/**
 * What people do with curl, on both mounts: ranges and resumed downloads, coded answers, conditions
 * with what an earlier answer left on disk, uploads that are refused, several requests on one
 * connection.
 */
import assert from 'node:assert/strict'
import { readFileSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { MOUNTS, Mounted } from './kit/mounts.ts'
import { parseMultipart } from './kit/multipart.ts'
import { needs } from './kit/privileges.ts'
import { type TemporaryFolder, temporaryFolder } from './kit/temporary.ts'
import { makeTree, sha256, type Tree } from './kit/tree.ts'

const TEXT = 'how vexingly quick daft zebras jump\n'.repeat(2000)
const UPLOAD_BYTES = 3_000_000
const CURL = ['curl', '--disable', '--silent', '--show-error', '--max-time', '60']

interface Asked {
  readonly status: string
  /** In lower case. */
  readonly head: string
  readonly body: Buffer
}

for (const mount of MOUNTS) {
  describe(`curl ${mount.name}`, { ...needs(...mount.needs, 'curl'), timeout: 300_000 }, () => {
    let tree: Tree
    let work: TemporaryFolder
    let mounted: Mounted
    /** The URL of a file of 5 MB, and what is in it. */
    let big: { url: string; bytes: Buffer }
    let text: string

    before(async () => {
      tree = makeTree(12)
      work = temporaryFolder('curl')
      for (const [name, bytes] of [
        ['zebra.txt', TEXT],
        ['zebra.txt.gz', gzipSync(TEXT)],
        ['zebra.txt.br', brotliCompressSync(TEXT)],
      ] as const) {
        writeFileSync(join(tree.dir, name), bytes)
      }
      mounted = await Mounted.serve(mount, tree.dir)
      const { path } = tree.files.find(file => file.bytes === 5 * 1024 * 1024)!
      const bytes = readFileSync(join(tree.dir, decodeURIComponent(path)))
      big = { url: mounted.url + path, bytes }
      text = `${mounted.url}/zebra.txt`
    })
    after(async () => {
      await mounted?.remove()
      tree?.remove()
      work?.remove()
    })

    const file = (name: string): string => join(work.path, name)

    /** curl, with the status and `more` of what it can tell as its standard output. */
    const curl = (args: readonly string[], more = '', input = ''): Promise<string> =>
      mounted.succeed([...CURL, '--write-out', `%{http_code}${more}\n`, ...args], { input })

    /** Asks, and reads the files that curl wrote the head and the body to. */
    async function ask(args: readonly string[], input = ''): Promise<Asked> {
      writeFileSync(file('body'), '')
      const outputs = ['--dump-header', file('head'), '--output', file('body')]
      const status = await curl([...outputs, ...args], '', input)
      const head = readFileSync(file('head'), 'latin1').toLowerCase()
      return { status: status.trim(), head, body: readFileSync(file('body')) }
    }
    const get = (...args: string[]): Promise<Asked> => ask(args)

    for (const [what, range, from, end] of [
      ['the first byte', '0-0', 0, 1],
      ['some bytes', '1459-100000', 1459, 100_001],
      ['an open end', '5242000-', 5_242_000, 5_242_880],
      ['a suffix', '-70001', 5_242_880 - 70_001, 5_242_880],
    ] as const) {
      it(`gets a range: ${what}`, async () => {
        const { status, head, body } = await get('--range', range, big.url)
        assert.equal(status, '206')
        assert.match(head, new RegExp(`^content-range: bytes ${from}-${end - 1}/5242880\r$`, 'm'))
        assert.ok(body.equals(big.bytes.subarray(from, end)), 'the bytes')
      })
    }

    it('gets several ranges as parts', async () => {
      const { status, head, body } = await get('--range', '0-99,1000000-1100000,-7', big.url)
      assert.equal(status, '206')
      const [, boundary] = /^content-type: multipart\/byteranges; *boundary="?([^"\r]+)/m.exec(
        head,
      )!
      const parts = parseMultipart(body, boundary)
      assert.deepEqual(
        parts.map(({ fields }) => fields.get('content-range')),
        ['0-99', '1000000-1100000', '5242873-5242879'].map(part => `bytes ${part}/5242880`),
      )
      for (const { fields, bytes } of parts) {
        const [from, last] = fields.get('content-range')!.match(/\d+/g)!.map(Number)
        assert.ok(bytes.equals(big.bytes.subarray(from, last + 1)), `the bytes from ${from}`)
      }
    })

    it('is told the length by a range that is not there', async () => {
      const { status, head } = await get('--range', '5242880-', big.url)
      assert.equal(status, '416')
      assert.match(head, /^content-range: bytes \*\/5242880\r$/m)
    })

    it('resumes a download that was cut half way', async () => {
      const half = file('half')
      const cut = 'curl -sS "$1" | head -c 2621440 > "$0"'
      await mounted.succeed(['sh', '-c', cut, half, big.url])
      assert.equal(statSync(half).size, 2_621_440)
      const resume = ['--continue-at', '-', '--output', half, big.url]
      assert.equal(await curl(resume, ' %{size_download}'), '206 2621440\n')
      assert.equal(sha256(readFileSync(half)), sha256(big.bytes))
      truncateSync(half, 5_242_879)
      assert.equal(await curl(resume, ' %{size_download}'), '206 1\n', 'all but a byte')
      await curl(resume)
      assert.equal(sha256(readFileSync(half)), sha256(big.bytes), 'nothing is left to resume')
    })

    it('decodes what it gets coded', async () => {
      const any = await get('--compressed', text)
      assert.match(any.head, /^content-encoding: (br|gzip)\r$/m)
      assert.equal(any.body.toString(), TEXT)
      for (const [coding, suffix] of [
        ['gzip', 'gz'],
        ['br', 'br'],
      ]) {
        const accept = ['--header', `Accept-Encoding: ${coding}`]
        const raw = await get(...accept, text)
        assert.match(raw.head, new RegExp(`^content-encoding: ${coding}\r$`, 'm'))
        assert.ok(raw.body.equals(readFileSync(join(tree.dir, `zebra.txt.${suffix}`))), coding)
        assert.equal((await get('--compressed', ...accept, text)).body.toString(), TEXT)
      }
      const plain = await get(text)
      assert.doesNotMatch(plain.head, /^content-encoding:/m)
      assert.match(plain.head, /^vary:.*accept-encoding/m)
      assert.equal(plain.body.toString(), TEXT)
    })

    it('gets a file only if it is newer than its own', async () => {
      const mine = file('mine')
      const fetch = ['--remote-time', '--output', mine, text]
      assert.equal(await curl(fetch), '200\n')
      const { mtime } = statSync(mine)
      assert.equal(await curl(['--time-cond', mine, ...fetch]), '304\n')
      utimesSync(mine, mtime, new Date(mtime.getTime() - 2000))
      assert.equal(await curl(['--time-cond', mine, ...fetch]), '200\n')
      assert.equal(readFileSync(mine, 'utf8'), TEXT)
    })

    it('gets a file only if its entity tag is another', async () => {
      const tag = file('tag')
      const output = ['--output', file('body'), text]
      assert.equal(await curl(['--etag-save', tag, ...output]), '200\n')
      assert.match(readFileSync(tag, 'utf8'), /^"[^"]+"\n?$/)
      const compared = ['--etag-compare', tag]
      assert.equal(await curl([...compared, ...output], ' %{size_download}'), '304 0\n')
      const coded = ['--header', 'Accept-Encoding: gzip']
      assert.equal(await curl([...compared, ...coded, ...output]), '200\n', 'another variant')
      writeFileSync(tag, '"another"\n')
      assert.equal(await curl([...compared, ...output]), '200\n')
    })

    it('asks with HEAD and OPTIONS', async () => {
      const head = await get('--head', big.url)
      assert.equal(head.status, '200')
      assert.match(head.head, /^content-length: 5242880\r$/m)
      assert.match(head.head, /^accept-ranges: bytes\r$/m)
      for (const target of [[], ['--request-target', '*']]) {
        const options = await get('--request', 'OPTIONS', ...target, text)
        assert.match(options.status, /^20[04]$/)
        assert.match(options.head, /^allow:.*\bget\b.*\bhead\b/m)
      }
    })

    for (const [what, args, fromInput] of [
      ['asking first', ['--upload-file', 'FILE'], false],
      ['without asking', ['--header', 'Expect:', '--upload-file', 'FILE'], false],
      ['in chunks', ['--upload-file', '-'], true],
      ['in chunks, without asking', ['--header', 'Expect:', '--upload-file', '-'], true],
      ['of a form', ['--header', 'Expect:', '--data-binary', '@FILE'], false],
    ] as const) {
      it(`reads the whole refusal of an upload of 3 MB ${what}`, async () => {
        const upload = 'u'.repeat(UPLOAD_BYTES)
        writeFileSync(file('upload'), upload)
        const named = args.map(arg => arg.replace('FILE', file('upload')))
        const input = fromInput ? upload : ''
        const { status, head, body } = await ask([...named, text], input)
        // The method is wrong, and the body is larger than any that is read over.
        assert.match(status, /^(405|413)$/)
        if (status === '405') assert.match(head, /^allow:.*\bget\b/m)
        // Of "100 Continue" there may be a head before.
        const [, length] = /^content-length: (\d+)\r$/m.exec(head)!
        assert.equal(body.length, Number(length))
        assert.ok(body.includes(status), 'a page that says why')
      })
    }

    it('fetches two files on one connection', async () => {
      const outputs = ['--output', file('one'), '--output', file('two')]
      const said = await curl([...outputs, text, big.url], ' %{num_connects}')
      assert.equal(said, '200 1\n200 0\n')
      assert.equal(readFileSync(file('one'), 'utf8'), TEXT)
      assert.equal(sha256(readFileSync(file('two'))), sha256(big.bytes))
    })

    it('goes on with a connection on which a small upload was refused', async () => {
      const report = ['--output', file('body'), '--write-out', '%{http_code} %{num_connects}\n']
      const post = [...report, '--data', 'x'.repeat(1000), text]
      const said = await mounted.succeed([...CURL, ...post, '--next', '--silent', ...report, text])
      assert.equal(said, '405 1\n200 0\n')
      assert.equal(readFileSync(file('body'), 'utf8'), TEXT)
    })

    it('leaves nothing behind', async () => {
      await mounted.stopEmpty()
    })
  })
}
