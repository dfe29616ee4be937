/**
 * The configuration file: what it means, what wins over what, and that every mistake is one line
 * that names the file, the key, the value and what was expected.
 */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import fc from 'fast-check'
import { type CacheConfig, checkCacheConfig } from '../src/cache/config.ts'
import { DEFAULT_HEALTH } from '../src/cache/health.ts'
import { ConfigError, failureOf, UserError } from '../src/cli/errors.ts'
import { checkData, problemsOf, readConfigFile } from '../src/config/file.ts'
import { FileProblem, valueAt } from '../src/config/fileProblem.ts'
import { ConfigProblems, loadConfig } from '../src/config/load.ts'
import { checkConfig } from '../src/config.ts'
import { plainSite, type SiteOrigin } from '../src/site/site.ts'

const folder = mkdtempSync(join(tmpdir(), 'sandstorm-file-'))
after(() => rmSync(folder, { recursive: true }))
const www = join(folder, 'www')
mkdirSync(join(www, 'shop'), { recursive: true })
for (const name of ['index.html', '404.html', 'shop/index.html']) writeFileSync(join(www, name), '')

let count = 0
/** A new file with this text, or this data as JSON. */
function write(content: string | object, ext: '.json' | '.toml' = '.json'): string {
  const path = join(folder, `${++count}${ext}`)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

const load = (content: object, flags: object = {}, dir?: string): ReturnType<typeof loadConfig> =>
  loadConfig(dir, { ...flags, config: write(content) })

/** The problems of some data, without the name of the file. */
async function problems(data: unknown): Promise<string[]> {
  const found = problemsOf(await checkData('x.json', data))
  for (const one of found) assert.ok(one instanceof FileProblem, String(one))
  return found.map(({ message }) => message.replace(/^x\.json(: )?/, ''))
}

describe('a file', () => {
  test('says the same as flags', async () => {
    const flags = {
      device: ['tap:web1'],
      address: ['192.168.50.7/28', '10.0.0.9/32'],
      hostAddress: '192.168.50.9/28',
      address6: ['fd00::7'],
      gateway6: 'fd00::1',
      port: '8000',
      mtu: '9000',
      memory: '300M',
      pacing: true,
      cpus: '0,2,3',
      fault: 'drop=0.01',
      pcap: join(folder, 'out.pcapng'),
      accessLog: join(folder, 'access.log'),
      logFormat: 'json',
      logLevel: 'error',
      admin: '[::1]:9077',
      adminHost: ['web1', 'mon'],
    }
    const data = {
      root: 'www',
      device: 'tap:web1',
      address: ['192.168.50.7/28', '10.0.0.9/32'],
      hostAddress: '192.168.50.9/28',
      address6: 'fd00::7',
      gateway6: 'fd00::1',
      port: 8000,
      mtu: 9000,
      memory: '300M',
      pacing: true,
      trace: false,
      cpus: [0, 2, 3],
      fault: 'drop=0.01',
      pcap: 'out.pcapng',
      accessLog: { path: 'access.log', format: 'json' },
      logLevel: 'error',
      admin: '[::1]:9077',
      adminHost: ['web1', 'mon'],
    }
    assert.deepEqual(await load(data), checkConfig({ ...flags, root: www }))
  })

  test('in TOML is the same as in JSON', async () => {
    const toml = `
      port = 8000
      cpus = [0, 1]
      [limits]
      headTimeout = 0.5
      [[sites]]
      root = "www"
      errorPages = { 404 = "404.html" }
      [[sites.rules]]
      match = "*.css"
      headers = { X-A = "b" }`
    const sites = [
      {
        root: 'www',
        errorPages: { 404: '404.html' },
        rules: [{ match: '*.css', headers: { 'X-A': 'b' } }],
      },
    ]
    const json = { port: 8000, cpus: [0, 1], limits: { headTimeout: 0.5 }, sites }
    const config = write(toml, '.toml')
    assert.deepEqual(await loadConfig(undefined, { config }), await load(json))
  })

  test('has limits as numbers and as text', async () => {
    const limits = { headTimeout: 1.5, idleTimeout: '2m', drainTimeout: '0s', bodyBytes: '16KiB' }
    const config = await load({ root: 'www', limits: { ...limits, requestsPerConnection: 7 } })
    assert.deepEqual(config.limits, {
      ...checkConfig({ root: www }).limits,
      headTimeoutMs: 1500,
      idleTimeoutMs: 120_000,
      drainTimeoutMs: 0,
      bodyBytes: 16384,
      requestsPerConnection: 7,
    })
  })

  test('may begin a path of a socket, but not an abstract name', async () => {
    const address = '192.168.7.9/24'
    for (const [device, name] of [
      ['memif:a.sock', join(folder, 'a.sock')],
      ['memif:/run/a.sock', '/run/a.sock'],
      ['memif:@vpp', '@vpp'],
    ])
      assert.equal((await load({ root: 'www', device, address })).devices[0].name, name)
  })
})

describe('sites', () => {
  test('have the defaults of a folder', async () => {
    assert.deepEqual((await load({ root: 'www' })).sites, [plainSite(www)])
    assert.deepEqual((await load({ sites: [{ root: 'www' }] })).sites, [plainSite(www)])
  })

  test('are as the file says', async () => {
    const first = {
      hosts: ['Example.ORG', '*.example.org.', 'bücher.example', '10.77.0.2', '[FD77:0::2]'],
      root: 'www',
      index: [],
      listing: 'json',
      cleanUrls: true,
      fallback: 'index.html',
      errorPages: { '404': '/404.html' },
      precompressed: false,
      compress: ['br', 'zstd'],
      serverName: '',
      rules: [{ match: '**', cacheControl: 'no-cache', cors: '*', headers: { Server: '' } }],
    }
    const { sites } = await load({ sites: [first, { root: 'www/shop', hosts: ['shop'] }] })
    assert.deepEqual(sites, [
      {
        ...first,
        origin: undefined,
        hosts: ['example.org', '*.example.org', 'xn--bcher-kva.example', '10.77.0.2', '[fd77::2]'],
        root: www,
        fallback: '/index.html',
        rules: [
          {
            match: '**',
            headers: {
              Server: '',
              'Cache-Control': 'no-cache',
              'Access-Control-Allow-Origin': '*',
            },
          },
        ],
      },
      { ...plainSite(join(www, 'shop')), hosts: ['shop'] },
    ])
  })

  test('come from DIR where the file has none, and from one place only', async () => {
    assert.deepEqual((await load({ port: 90 }, {}, www)).sites, [plainSite(www)])
    await assert.rejects(load({ port: 90 }), /has no sites/)
    await assert.rejects(load({ root: 'www' }, {}, www), /has sites\. Leave DIR out/)
    await assert.rejects(loadConfig(undefined, {}), /serve: DIR is missing/)
  })
})

describe('a flag', () => {
  test('wins over the file', async () => {
    const data = { root: 'www', port: 1, address: ['10.0.0.2/24', '10.0.1.2/24'], logLevel: 'warn' }
    const config = await load(data, { port: '2', address: ['10.0.2.2/24'], listing: 'html' })
    assert.deepEqual([config.port, config.address, config.others], [2, '10.0.2.2', []])
    assert.deepEqual([config.logLevel, config.sites[0].listing], ['warn', 'html'])
  })

  test('that was typed is what an error names, else the key of the file is', async () => {
    const data = { root: 'www', mtu: 1000, address: '10.0.0.2/24' }
    const message = async (flags: object): Promise<string> =>
      await load(data, flags).then(
        () => '',
        (error: Error) => error.message.replace(/^.*\//, ''),
      )
    assert.match(await message({ mtu: '5' }), /^--mtu 5: out of range/)
    assert.match(await message({ address6: ['fd00::7'] }), /json: mtu 1000: .* \(--address6\)/)
    assert.match(await message({ device: ['kernel'] }), /json: mtu 1000: .*--device kernel/)
    assert.match(await message({ gateway: '1.2.3.4' }), /^--gateway 1\.2\.3\.4: in no subnet/)
    assert.equal(await message({ mtu: '1500', address6: ['fd00::7'] }), '')
  })
})

const SITE = { root: www }
const rule = (one: object): object => ({ sites: [{ ...SITE, rules: [one] }] })

const origin = (one: object): object => ({
  device: 'kernel',
  sites: [{ ...SITE, origin: { url: 'http://127.0.0.1:3000', ...one } }],
})

const BAD: [data: unknown, message: RegExp][] = [
  [[], /^is a list\. Expected keys and values$/],
  [{ port: 'eighty' }, /^port "eighty": is a string\. Expected a whole number from 1 to 65535$/],
  [{ port: 0 }, /^port 0: out of range\. Expected/],
  [{ port: 1.5 }, /^port 1\.5: not a whole number\. Expected/],
  [{ memory: true }, /^memory true: is a boolean\. Expected a size like 512MiB/],
  [{ memory: 'lots' }, /^memory "lots": not a size/],
  [{ memory: '1MiB' }, /^memory "1MiB": out of range\. Expected 16MiB to/],
  [{ cc: 'bbr' }, /^cc "bbr": no such choice\. Expected cubic, newreno/],
  [{ prot: 1 }, /^prot: no such key\. Did you mean port\?/],
  [{ 'host-address': '10.0.0.1' }, /^host-address: no such key\. Did you mean hostAddress\?/],
  [{ listing: 'html' }, /^listing: no such key\. It belongs in a site \(sites\)/],
  [{ xyzzy: 1 }, /^xyzzy: no such key\. Expected one of \$schema, device, /],
  [JSON.parse('{"__proto__": 1}'), /^__proto__: no such key/],
  [{ device: ['tap:a', 'eth0'] }, /^device\[1\] "eth0": /],
  [{ device: [] }, /^device \[\]: /],
  [{ gateway: '1.2.3.4' }, /^gateway "1\.2\.3\.4": in no subnet of ours\..* of an address$/],
  [{ device: 'memif:/x' }, /^device "memif:\/x": needs an address .* with address$/],
  [{ device: 'kernel', mtu: 1500 }, /^mtu 1500: works on our own stack, and device kernel/],
  [{ accessLog: { pth: 'x' } }, /^accessLog\.pth: no such key\. Did you mean path\?/],
  [{ accessLog: { format: 'json' } }, /^accessLog\.format "json": .* accessLog\.path as well$/],
  [{ accessLog: { path: '/no/x' } }, /^accessLog\.path "\/no\/x": its folder is not there/],
  [{ limits: { headTimeout: '1y' } }, /^limits\.headTimeout "1y": not a duration\. Expected sec/],
  [{ limits: { headTimeout: 0 } }, /^limits\.headTimeout 0: out of range\. .* 100ms to 1h$/],
  [{ limits: { headBytes: '1GiB' } }, /^limits\.headBytes "1GiB": out of range/],
  [{ limits: { fields: '9' } }, /^limits\.fields "9": is a string/],
  [{ limits: { targetBytes: 8192 } }, /^limits\.targetBytes 8192: a head of 8192 bytes has no/],
  [{ root: 'none' }, /^root "none": not there\. Expected a folder/],
  [{ root: www, sites: [SITE] }, /^root ".*": beside sites/],
  [{ sites: [] }, /^sites \[\]: empty/],
  [{ sites: [{}] }, /^sites\[0\]: root is missing\. Expected a folder with files/],
  [{ sites: [{ ...SITE, listing: 'on' }] }, /^sites\[0\]\.listing "on": no such choice/],
  [{ sites: [{ ...SITE, fallback: 'x' }] }, /^sites\[0\]\.fallback "x": not there/],
  [{ sites: [{ ...SITE, fallback: '/../x' }] }, /^sites\[0\]\.fallback .*: not the path of/],
  [{ sites: [{ ...SITE, errorPages: { 40: 'x' } }] }, /^sites\[0\]\.errorPages\.40 "x": no such/],
  [{ sites: [{ ...SITE, errorPages: { 404: '/x' } }] }, /^sites\[0\]\.errorPages\.404 "\/x": not/],
  [{ sites: [{ ...SITE, index: ['a/b'] }] }, /^sites\[0\]\.index\[0\] "a\/b": not of that form/],
  [{ sites: [{ ...SITE, compress: ['xz'] }] }, /^sites\[0\]\.compress\[0\] "xz": no such choice/],
  [{ sites: [{ ...SITE, serverName: 'a\n' }] }, /^sites\[0\]\.serverName "a\\n": a value with/],
  [{ sites: [{ ...SITE, hosts: ['a:80'] }] }, /^sites\[0\]\.hosts\[0\] "a:80": not a host name/],
  [{ sites: [{ ...SITE, hosts: ['a', 'A.'] }] }, /^sites\[0\]\.hosts\[1\] "A\.": given twice/],
  [
    {
      sites: [
        { ...SITE, hosts: ['a'] },
        { ...SITE, hosts: ['A'] },
      ],
    },
    /^sites\[1\]\.hosts\[0\] "A": sites\[0\] has it too/,
  ],
  [{ sites: [SITE, SITE] }, /^sites\[1\]: hosts is missing/],
  [origin({ url: 'x' }), /^sites\[0\]\.origin\.url "x": not the URL of an origin\. Expected one/],
  [origin({ url: 'http://a/b' }), /^sites\[0\]\.origin\.url "http:\/\/a\/b": not the URL/],
  [origin({ url: 'http://u@a' }), /\.origin\.url "http:\/\/u@a": not the URL/],
  [origin({ url: 'ftp://a' }), /\.origin\.url "ftp:\/\/a": not the URL/],
  [origin({ url: undefined }), /^sites\[0\]\.origin: url is missing\. Expected one like/],
  [origin({ ulr: 'x' }), /^sites\[0\]\.origin\.ulr: no such key\. Did you mean url\?/],
  [origin({ index: 'x' }), /^sites\[0\]\.origin\.index: no such key\. It belongs in a site/],
  [origin({ paths: ['api/'] }), /\.origin\.paths\[0\] "api\/": does not begin with a slash/],
  [origin({ paths: ['/a*'] }), /\.origin\.paths\[0\] "\/a\*": neither a path nor/],
  [origin({ headTimeout: 'soon' }), /\.origin\.headTimeout "soon": not a duration\. Expected sec/],
  [origin({ retries: 11 }), /\.origin\.retries 11: out of range\. .* from 0 to 10$/],
  [origin({ heuristic: 'no' }), /\.origin\.heuristic "no": is a string\. Expected true or false/],
  [origin({ negative: { 99: 1 } }), /\.origin\.negative\.99 1: no such key\. Expected a status/],
  [origin({ negative: { 404: 'x' } }), /\.origin\.negative\.404 "x": not a duration/],
  [
    {
      device: 'kernel',
      sites: [
        { origin: { url: 'http://a', folder: 'x' } },
        { hosts: ['b'], origin: { url: 'http://b', folder: './x' } },
      ],
    },
    /^sites\[1\]\.origin\.folder "\.\/x": sites\[0\] has it too\. Expected a folder of its own$/,
  ],
  [origin({ memory: '1MiB', objectBytes: '2MiB' }), /\.objectBytes "2MiB": one object is more th/],
  [
    { device: 'kernel', sites: [{ origin: { url: 'http://a' }, fallback: 'x' }] },
    /^sites\[0\]\.fallback "x": there is no root/,
  ],
  [rule({}), /^sites\[0\]\.rules\[0\]: match is missing\. Expected a glob/],
  [rule({ match: '' }), /^sites\[0\]\.rules\[0\]\.match "": nothing given/],
  [rule({ match: '*', hedaers: {} }), /\.rules\[0\]\.hedaers: no such key\. Did you mean headers/],
  [rule({ match: '*', headers: { 'a b': '' } }), /\.headers\."a b" "": not a field name/],
  [rule({ match: '*', headers: { Date: 'x' } }), /\.headers\.Date "x": a field that the server/],
  [rule({ match: '*', headers: { A: 'x', a: 'y' } }), /\.headers\.a "y": given twice/],
  [rule({ match: '*', headers: { 'X-A': 1 } }), /\.headers\.X-A 1: is a number/],
  [rule({ match: '*', cors: 'x' }), /\.cors "x": not an origin\. Expected \* or/],
  [rule({ match: '*', cacheControl: 'é' }), /\.cacheControl "é": a value with/],
  [
    rule({ match: '*', cacheControl: 'a', headers: { 'cache-control': 'b' } }),
    /\.cacheControl "a": beside headers\.cache-control/,
  ],
]

describe('an origin', () => {
  const originOf = async (one: object): Promise<object | undefined> =>
    (await load(origin(one))).sites[0].origin

  test('has the defaults of who obeys them', async () => {
    const plain = { url: 'http://127.0.0.1:3000', paths: [], folder: '', cache: {}, upstream: {} }
    assert.deepEqual(await originOf({}), plain)
    assert.deepEqual(await originOf({ url: 'HTTP://127.0.0.1:3000/' }), plain)
    assert.deepEqual(await originOf({ url: 'https://A.example:443' }), {
      ...plain,
      url: 'https://a.example',
    })
  })

  test('is as the file says, in the units of the code', async () => {
    const given = {
      paths: ['/api/', '/login'],
      folder: 'kept',
      headTimeout: '5s',
      retries: 0,
      downAfter: 2,
      keepHost: false,
      heuristicMax: '1h',
      staleWhenDown: 60,
      negative: { 404: '10s', 410: 0.5 },
    }
    assert.deepEqual(await originOf(given), {
      url: 'http://127.0.0.1:3000',
      paths: ['/api/', '/login'],
      folder: join(folder, 'kept'),
      cache: { heuristicMaxSec: 3600, staleWhenDownSec: 60, negativeSec: { 404: 10, 410: 0.5 } },
      upstream: {
        headMs: 5000,
        retries: 0,
        keepsHost: false,
        health: { ...DEFAULT_HEALTH, failures: 2 },
      },
    })
  })

  test('with little memory stores small answers, and with large ones has room on their way', async () => {
    const sizes = async (one: object): Promise<object> =>
      checkCacheConfig(((await originOf(one)) as SiteOrigin).cache)
    const MiB = 2 ** 20
    for (const [given, objectBytes, fillBytes] of [
      [{ memory: '8MiB' }, 8 * MiB, 64 * MiB],
      [{ fillBytes: '1MiB' }, MiB, MiB],
      [{ objectBytes: '100MiB' }, 100 * MiB, 100 * MiB],
    ] as const) {
      const all = (await sizes(given)) as CacheConfig
      assert.deepEqual([all.objectBytes, all.fillBytes], [objectBytes, fillBytes])
    }
  })

  test('may be all that a site has, and a flag may name it', async () => {
    const url = 'http://127.0.0.1:3000'
    const { sites } = await load({ device: 'kernel', sites: [{ origin: { url } }] })
    assert.deepEqual([sites[0].root, sites[0].origin?.url], ['', url])
    const flags = { origin: 'http://127.0.0.1:4000', device: ['kernel'] }
    const named = await load(origin({ retries: 1 }), flags)
    assert.deepEqual(named.sites[0].origin?.url, 'http://127.0.0.1:4000')
    assert.deepEqual(named.sites[0].origin?.upstream, { retries: 1 })
    const alone = await loadConfig(undefined, flags)
    assert.deepEqual([alone.sites.length, alone.sites[0].root], [1, ''])
    assert.equal((await loadConfig(www, flags)).sites[0].root, www)
    assert.equal(
      (await loadConfig(www, { origin: flags.origin })).sites[0].origin?.url,
      flags.origin,
    )
    await assert.rejects(
      loadConfig(www, { ...flags, origin: '127.0.0.1:80' }),
      /^ConfigError: --origin 127\.0\.0\.1:80: not the URL of an origin\. Expected one like http/,
    )
    await assert.rejects(loadConfig(undefined, { ...flags, spa: 'x' }), /--spa x: there is no root/)
  })
})

describe('a mistake is one line that names the key', () => {
  for (const [data, message] of BAD)
    test(JSON.stringify(data).replaceAll(www, 'WWW'), async () => {
      const found = await problems(data)
      assert.equal(found.length, 1, found.join('\n'))
      assert.match(found[0], message)
    })

  test('and long values are cut', async () => {
    const [message] = await problems({ port: 'x'.repeat(1000) })
    assert.ok(message.length < 150 && message.includes('xxx…: is a string'), message)
  })

  test('and all are told at once, by serve as the number of the others', async () => {
    const data = { port: 0, prot: 1, sites: [{ root: www, listing: 'x' }] }
    assert.equal((await problems(data)).length, 3)
    await assert.rejects(load(data), /port 0: out of range.*; 2 more: sandstorm check-config /)
  })

  test('and so are files that are not there, beside what the schema finds', async () => {
    const sites = [
      { root: 'none', listing: 'x', errorPages: { 404: 'y' } },
      { root: www, hosts: ['b'], fallback: 'z', rules: [{}] },
      { root: www, hosts: ['B'], prot: 1 },
    ]
    const keys = (await problems({ port: 'x', sites })).map(line => line.replace(/[ :].*/, ''))
    const found = ['port', 'sites[0].listing', 'sites[1].rules[0]', 'sites[2].prot']
    const more = ['sites[2].hosts[0]', 'sites[0].root', 'sites[1].fallback']
    assert.deepEqual(keys, [...found, ...more])
    assert.equal((await problems({ port: 'x', root: 'none' })).length, 2)
  })

  test('but what follows from one is none', async () => {
    const data: object[] = [
      { prot: 1, sites: [SITE, { ...SITE, hosts: ['a:80'] }] },
      { sites: [{ rot: 'www', fallback: 'x' }] },
      { sites: [{ root: 1, fallback: 'x', origin: { url: 'http://a' } }] },
      { sites: [{ origin: { url: 'x' }, errorPages: { 404: 'x' } }] },
      { sites: [SITE, null] },
      { root: 1, device: 'memif:/x', vlan: 'x' },
    ]
    const counts = await Promise.all(data.map(async one => (await problems(one)).length))
    assert.deepEqual(counts, [2, 1, 1, 1, 1, 2])
  })

  test('and those of the flags on top are told with them', async () => {
    const file = write({ address: 'x', root: 'nowhere' })
    const error = await loadConfig(undefined, { config: file, mtu: '1' }).catch(thrown => thrown)
    assert.ok(error instanceof ConfigProblems)
    const told = error.problems.map(({ message }) => message.replace(`${file}: `, ''))
    assert.equal(told.length, 3)
    assert.match(told[0], /^root "nowhere": /)
    assert.match(told[1], /^--mtu 1: out of range/)
    assert.match(told[2], /^address "x": /)
    assert.match(error.message, /nowhere.*; 1 more: sandstorm check-config /, 'of the file')
  })
})

describe('text that cannot be read', () => {
  const refusal = async (path: string): Promise<string> => {
    const [problem, ...others] = (await readConfigFile(path)).problems
    assert.ok(problem instanceof ConfigError && others.length === 0)
    return problem.message.replace(`${folder}/`, '').replace(/^\d+\./, 'x.')
  }
  for (const [ext, text, message] of [
    ['.json', '{"port": 1,\n "mtu" 2}', /^x\.json:2:8: ":" is missing/],
    ['.json', '{"port": 1,\n "port": 2}', /^x\.json:2:2: the key "port" is there twice/],
    ['.json', '', /^x\.json:1:1: a value is missing/],
    ['.json', '[1,]', /^x\.json:1:4: a value is missing/],
    ['.json', '['.repeat(100_000), /^x\.json:1:66: too many levels/],
    ['.toml', 'port = 1\nmtu = = 2', /^x\.toml:2:7: /],
    ['.toml', 'a = 1\na = 2', /^x\.toml:2:\d+: /],
  ] as const)
    test(`has a line and a column: ${text.slice(0, 30)}`, async () => {
      assert.match(await refusal(write(text, ext)), message)
    })
  test('is a file that is not there, a folder, of another kind, or not UTF-8', async () => {
    assert.match(await refusal(join(folder, 'none.json')), /^none\.json: not there/)
    assert.match(await refusal(www), /^www: cannot be read \(EISDIR\)/)
    const other = join(folder, 'other.yaml')
    writeFileSync(other, 'port: 1')
    assert.match(await refusal(other), /^other\.yaml: of no known kind\. Expected a name in \.json/)
    const latin = join(folder, 'latin.json')
    writeFileSync(latin, Buffer.from([0x22, 0xe9, 0x22]))
    assert.match(await refusal(latin), /^latin\.json: not UTF-8/)
  })
  test('but a BOM is no mistake', async () => {
    assert.deepEqual((await readConfigFile(write('\ufeff{"port": 1}'))).problems, [])
  })
})

const KEYS = ['port', 'mtu', 'device', 'address', 'address6', 'gateway', 'hostAddress', 'bridge']
const MORE = [
  'sites',
  'root',
  'limits',
  'accessLog',
  'admin',
  'adminHost',
  'memory',
  'cpus',
  'pcap',
  'spin',
  'busyPoll',
]
const INNER = ['root', 'hosts', 'rules', 'match', 'headers', 'errorPages', 'path', 'fields', 'cors']
const name = fc.oneof(fc.constantFrom(...KEYS, ...MORE, ...INNER), fc.string({ maxLength: 8 }))
const leaf = fc.oneof(
  fc.constantFrom('10.77.0.2/24', 'fd77::2', 'kernel', 'tap', '10s', '64KiB', www, null, true),
  fc.integer({ min: -1, max: 70000 }),
  fc.string({ maxLength: 8 }),
)
const { tree: json } = fc.letrec(tie => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    leaf,
    fc.array(tie('tree'), { maxLength: 3 }),
    fc.dictionary(name, tie('tree'), { maxKeys: 4 }),
  ),
}))

test('any data gives a configuration, or errors that each name a key that is there', async () => {
  const top = fc.oneof(fc.dictionary(name, json, { maxKeys: 4 }), json, fc.jsonValue())
  const property = fc.asyncProperty(top, async data => {
    const read = await checkData(join(folder, 'any.json'), data)
    const found = problemsOf(read)
    for (const problem of found) {
      assert.ok(problem instanceof FileProblem, String(problem))
      const { line, exitCode } = failureOf(problem)
      assert.equal(exitCode, 2)
      assert.doesNotMatch(line, /\p{Cc}| at .*:\d+:\d+/u)
      assert.notEqual(valueAt(data, problem.key), undefined, line)
      const isTop = problem.key.length === 0
      assert.ok(
        isTop ? typeof data !== 'object' || data === null || Array.isArray(data) : true,
        line,
      )
    }
    if (found.length > 0) return
    const config = checkConfig({ root: www, ...read.flags })
    assert.deepEqual(structuredClone(config), config)
  })
  await fc.assert(property, { numRuns: 700 })
})

test('any text gives a configuration or a ConfigError', async () => {
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    fc.string({ unit: fc.constantFrom(...'[]{}",:=1\n') }),
  )
  const property = fc.asyncProperty(text, fc.constantFrom('.json', '.toml'), async (some, ext) => {
    const config = write(some, ext as '.json')
    try {
      await loadConfig(undefined, { config })
    } catch (error) {
      assert.ok(error instanceof UserError, String(error))
    }
  })
  await fc.assert(property, { numRuns: 300 })
})
