/**
 * Request targets that try to leave the served folder or to see what is hidden in it, by the
 * thousand: every way to write two dots and a separator that some server has fallen for, behind
 * every beginning, before every name of what must not be read. Byte strings in Latin-1,
 * deterministic.
 */

/** Where a way out may begin: what exists, what does not, forms with an authority. */
const BEGINNINGS = ['/', '/sub/', '/.well-known/', '/a.txt/', '//', '/inside/', 'http://a/']

/** `..`, written so that a decoder that errs sees it. */
const DOTS = [
  '..',
  '%2e%2e',
  '%2E%2E',
  '.%2e',
  '%2e.',
  '%252e%252e',
  '%25252e%25252e',
  '%c0%ae%c0%ae',
  '%e0%80%ae%e0%80%ae',
  '\xc0\xae\xc0\xae',
  '%u002e%u002e',
  '%uff0e%uff0e',
  '%ef%bc%8e%ef%bc%8e',
  '..;',
  '..;a=b',
  '..%00',
  '..%20',
  '..%09',
  '...',
  '....',
  '.%00.',
  '.%0d.',
  '.',
]

const SEPARATORS = [
  '/',
  '//',
  '%2f',
  '%2F',
  '%252f',
  '%255c',
  '\\',
  '%5c',
  '%5C',
  '/./',
  '/.//',
  '%c0%af',
  '%c1%9c',
  '%u2215',
  '%u2216',
  '\\/',
]

/** From below the root and from the file system's, with what might make them another name. */
const NAMES = ['secret.txt', 'site-private/secret.txt', 'etc/passwd']
const DEPTHS = [1, 3]

/** Names that are hidden, or lead out, without any dots before them. */
const HIDDEN = [
  '.env',
  '.git/config',
  '.git/',
  '.git',
  'link.txt',
  'out/secret.txt',
  'out/',
  'loop',
]
const DISGUISES = ['', '/', '.', '%20', '%00', '%00.txt', ';a=b', '::$DATA', '~', '?x', '#x', '%2f']

/** Forms of a target that are none here, and authorities that hide a path. */
const FORMS = [
  'file:///etc/passwd',
  'file://localhost/etc/passwd',
  'ftp://a/etc/passwd',
  'http:///etc/passwd',
  'http:/etc/passwd',
  'http:etc/passwd',
  'http://a/../secret.txt',
  'http://a/%2e%2e/secret.txt',
  'http://a@b/../secret.txt',
  'http://a:80/../secret.txt',
  'http://a:80@../secret.txt',
  'http://../secret.txt',
  'http://[::1]/../secret.txt',
  'http://a\\../secret.txt',
  'http://a?/../secret.txt',
  'http://a#/../secret.txt',
  'HTTP://a/../secret.txt',
  'https://a/../secret.txt',
  '//a/../secret.txt',
  '///etc/passwd',
  '\\etc\\passwd',
  '../secret.txt',
  '..',
  '.',
  '*',
  '/..',
  '/../',
  '/.',
  '/\0/../secret.txt',
  '/a.txt\0/../../secret.txt',
  '/ ../secret.txt',
  '/../secret.txt ',
  '/../secret.txt\t',
  '/\x7f/../secret.txt',
]

/** All of them, each once. */
export function hostilePaths(): string[] {
  const paths = new Set<string>(FORMS)
  for (const beginning of BEGINNINGS) {
    for (const name of HIDDEN) for (const end of DISGUISES) paths.add(beginning + name + end)
    for (const dots of DOTS) {
      for (const separator of SEPARATORS) {
        for (const depth of DEPTHS) {
          const name = NAMES[(depth + dots.length + separator.length) % NAMES.length]
          paths.add(beginning + (dots + separator).repeat(depth) + name.replaceAll('/', separator))
          paths.add(`${beginning + (dots + separator).repeat(depth)}secret.txt`)
        }
      }
    }
  }
  paths.add(`/${'../'.repeat(2000)}secret.txt`)
  return [...paths]
}
