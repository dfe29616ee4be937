/** The folder that every server is asked about. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'

export const TEXT = 'abcdefghijklmnopqrstuvwxyz\n'
export const CSS: string = 'p { color: red; margin: 0 }\n'.repeat(100)
export const SECRET = 'nobody should read this'

/** Makes the folder `site` in `dir`, and beside it a file that must never be served. */
export function makeSite(dir: string): string {
  const root = join(dir, 'site')
  mkdirSync(join(root, 'sub', 'deep'), { recursive: true })
  mkdirSync(join(root, '.git'))
  mkdirSync(join(root, '.well-known'))
  writeFileSync(join(dir, 'secret.txt'), SECRET)
  const files: Record<string, string | Buffer> = {
    'index.html': '<title>top</title>',
    'a.txt': TEXT,
    'empty.txt': '',
    'style.css': CSS,
    'style.css.gz': gzipSync(CSS),
    'style.css.br': brotliCompressSync(CSS),
    'image.png': Buffer.from('89504e470d0a1a0a', 'hex'),
    'sp ace.txt': 'space',
    'ünï.txt': 'unicode',
    'sub/index.html': 'sub',
    '.git/config': SECRET,
    '.env': SECRET,
    '.well-known/security.txt': 'Contact: x',
  }
  for (const [name, body] of Object.entries(files)) writeFileSync(join(root, name), body)
  symlinkSync('../secret.txt', join(root, 'link.txt'))
  symlinkSync('a.txt', join(root, 'inside.txt'))
  return root
}
