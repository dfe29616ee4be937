import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compileGlob } from '../src/site/glob.ts'

/** Pattern, paths that it means, paths that it does not. */
const TABLE: [string, string[], string[]][] = [
  ['*.css', ['/a.css', '/x/y/.css', '/a/b.css'], ['/a.css/', '/a.cssx', '/a.css/b', '/a.js']],
  ['/*.css', ['/a.css', '/.css'], ['/x/a.css', '/a.css/']],
  ['css/*.css', ['/css/a.css'], ['/x/css/a.css', '/css/x/a.css', 'css/a.css']],
  ['/**/*.css', ['/a.css', '/x/a.css', '/x/y/a.css'], ['/a.js', '/x/']],
  ['**/*.css', ['/a.css', '/x/y/a.css'], ['/a.js']],
  ['/a/**', ['/a/', '/a/b', '/a/b/c/'], ['/a', '/ab', '/b/a/']],
  ['/a/**/z', ['/a/z', '/a/b/z', '/a/b/c/z'], ['/az', '/a/bz', '/a/z/', '/a/bz/y']],
  ['**', ['/', '/a', '/a/b.c'], []],
  ['*', ['/', '/a', '/a/b', '/a/b/'], []],
  ['/', ['/'], ['/a', '']],
  ['/?', ['/a', '/😀'], ['/', '/ab', '//']],
  ['a?c', ['/abc', '/x/a.c'], ['/ac', '/abbc', '/a/c']],
  ['[a-c]x', ['/ax', '/cx'], ['/dx', '/x', '/-x']],
  ['[!a-c]x', ['/dx', '/-x'], ['/ax', '/x']],
  ['[^a]', ['/b'], ['/a']],
  ['/[!a]b', ['/xb'], ['/ab', '//b']],
  ['[]a]', ['/]', '/a'], ['/b']],
  ['[a-]', ['/a', '/-'], ['/b']],
  ['[\\]x]', ['/]', '/x'], ['/\\']],
  ['[,{]', ['/,', '/{'], ['/a']],
  ['*.{js,css}', ['/a.js', '/b/a.css'], ['/a.{js', '/a.', '/a.jscss']],
  ['/{a,b/**}/c', ['/a/c', '/b/c', '/b/x/c'], ['/c', '/ab/c']],
  ['{a,b{c,d}}', ['/a', '/bc', '/bd'], ['/b', '/bcd', '/{a']],
  ['a{,.min}.js', ['/a.js', '/a.min.js'], ['/a..js']],
  ['\\*', ['/*'], ['/a']],
  ['\\{a,b\\}', ['/{a,b}'], ['/a']],
  ['a.c', ['/a.c'], ['/abc']],
  ['(a|b)+$', ['/(a|b)+$'], ['/a']],
  ['*-????????.js', ['/app-1a2b3c4d.js'], ['/app-1a.js']],
  ['/a**b', ['/ab', '/a/x/b'], ['/a']],
  ['ü*', ['/über'], ['/uber']],
]

for (const [pattern, meant, others] of TABLE) {
  test(`${pattern} means ${meant.join(' ')}`, () => {
    const glob = compileGlob(pattern)
    for (const path of meant) assert.ok(glob(path), path)
    for (const path of others) assert.ok(!glob(path), `not ${path}`)
  })
}

test('a pattern that is none is an error with the reason', () => {
  const reasons: Record<string, RegExp> = {
    '': /empty/,
    '[a': /"\[" without "\]"/,
    '[]': /"\[" without "\]"/,
    '{a,b': /"\{" without "\}"/,
    'a}': /"\}" without "\{"/,
    '{a}b}': /"\}" without "\{"/,
    'a***': /"\*\*\*" means nothing/,
    '[z-a]': /runs backwards/,
    'a\\': /ends in/,
    '{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}': /more than 256 choices/,
  }
  for (const [pattern, reason] of Object.entries(reasons)) {
    assert.throws(() => compileGlob(pattern), reason, pattern)
  }
})

test('time grows with the path and not with its powers, whatever the pattern', () => {
  const glob = compileGlob(`/${'**a'.repeat(20)}b`)
  const deep = compileGlob(`${'/**/a'.repeat(20)}b`)
  const start = performance.now()
  assert.ok(!glob(`/${'a'.repeat(4000)}`))
  assert.ok(!deep('/a'.repeat(2000)))
  assert.ok(performance.now() - start < 2000)
})

test('stars match as in a RegExp, where that is not slow', () => {
  const pattern = fc
    .array(fc.constantFrom('a', 'b', '/', '*', '?', '**/', '[ab]'), { maxLength: 8 })
    .map(parts => `/${parts.join('')}`.replace(/\*{2,}(?!\/)|\*+(?=\*\*)/g, '*'))
    .filter(glob => !glob.includes('***') && !/[^/]\*\*/.test(glob))
  const path = fc
    .array(fc.constantFrom('a', 'b', '/', 'c'), { maxLength: 8 })
    .map(parts => `/${parts.join('')}`)
  fc.assert(
    fc.property(pattern, path, (glob, asked) => {
      const source = glob
        .replaceAll('**/', '\0')
        .replaceAll('*', '[^/]*')
        .replaceAll('?', '[^/]')
        .replaceAll('\0', '(?:.*/)?')
      assert.equal(compileGlob(glob)(asked), new RegExp(`^${source}$`).test(asked))
    }),
    { numRuns: 2000 },
  )
})
