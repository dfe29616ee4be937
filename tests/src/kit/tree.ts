/**
 * A folder of files to serve: deterministic sizes, names and bytes, and the SHA-256 of each file.
 *
 * The sizes are chosen for where a packetiser breaks: nothing, one byte, one below, at and above a
 * full segment (1428 with timestamps, 1460 without), the paper's 22 KB, and files of many windows.
 * The bytes are an AES-CTR key stream, unlike at every offset of every file, so that a byte that
 * comes from the wrong place is seen. The names have spaces, UTF-8 and characters that a URL
 * escapes.
 */
import { createCipheriv, createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { temporaryFolder } from './temporary.ts'

const KB = 1024
const MB = 1024 * KB

/** Size in bytes, and how many of 1,000 files have it; 73 MB together, without the largest. */
const SIZES: readonly (readonly [number, number])[] = [
  [0, 10],
  [1, 10],
  [1427, 15],
  [1428, 15],
  [1429, 15],
  [1460, 15],
  [2 * KB, 250],
  [22 * KB, 535],
  [100 * KB, 100],
  [1 * MB, 30],
  [5 * MB, 4],
  [20 * MB, 1],
]

/** Of files of many windows: enough for most tests. */
const MAX_BYTES = 5 * MB

const FOLDERS = ['', 'images/', 'a folder/', 'Straße/日本語/', 'a/b/c/d/', 'per%20cent/']
const NAMES = ['file', 'two words', 'naïve café', 'plus+and&more', "it's (1)", 'hash#mark', '50%']
const TYPES = ['bin', 'html', 'css', 'js', 'png', 'txt', 'svg', 'json']

/** The URL path of a file that lies in every made tree and that no client may get. */
export const HIDDEN_PATH = '/.hidden/secret.txt'

/** One file as a client sees it. */
export interface TreeFile {
  /** The path of its URL, escaped: `/a%20folder/two%20words-17.css`. */
  readonly path: string
  readonly bytes: number
  /** SHA-256 of the content, in hex. */
  readonly sha256: string
}

export interface Tree {
  readonly dir: string
  readonly files: readonly TreeFile[]
  /** Deletes the folder. */
  remove(): void
}

/**
 * Writes `count` files, of so many bytes at the most, to a new folder below the system's temporary
 * one.
 */
export function makeTree(count: number, maxBytes: number = MAX_BYTES): Tree {
  const { path: dir, remove } = temporaryFolder('tree')
  const files = sizes(count, maxBytes).map((bytes, index) => {
    const name = fileName(index)
    const body = content(index, bytes)
    mkdirSync(dirname(join(dir, name)), { recursive: true })
    writeFileSync(join(dir, name), body)
    return { path: urlPath(name), bytes, sha256: sha256(body) }
  })
  mkdirSync(join(dir, dirname(HIDDEN_PATH)))
  writeFileSync(join(dir, HIDDEN_PATH), 'nobody may see this')
  return { dir, files, remove }
}

/** An existing folder as a tree; hidden files are left out, as the server does. */
export function readTree(dir: string): TreeFile[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => relative(dir, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .filter(name => !name.split('/').some(part => part.startsWith('.')))
    .map(name => {
      const body = readFileSync(join(dir, name))
      return { path: urlPath(name), bytes: body.length, sha256: sha256(body) }
    })
}

/** SHA-256 in hex. */
export function sha256(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('hex')
}

/**
 * `count` sizes in the proportions of the table, each at least once, evenly mixed: the i-th of n
 * files of one size stands at (i + ½) / n of the whole.
 */
function sizes(count: number, maxBytes: number): number[] {
  const placed = SIZES.filter(([bytes]) => bytes <= maxBytes).flatMap(([bytes, share]) => {
    const n = Math.max(1, Math.round((share * count) / 1000))
    return Array.from({ length: n }, (_, i) => ({ bytes, at: (i + 0.5) / n }))
  })
  return placed.sort((a, b) => a.at - b.at || a.bytes - b.bytes).map(file => file.bytes)
}

function fileName(index: number): string {
  const folder = FOLDERS[index % FOLDERS.length]
  const name = NAMES[index % NAMES.length]
  return `${folder}${name}-${index}.${TYPES[index % TYPES.length]}`
}

function content(index: number, bytes: number): Buffer {
  const key = Buffer.alloc(16, 'sandstorm')
  const iv = Buffer.alloc(16)
  // The upper half of the counter block: key streams of two files never meet.
  iv.writeUInt32BE(index, 0)
  return createCipheriv('aes-128-ctr', key, iv).update(Buffer.alloc(bytes))
}

function urlPath(name: string): string {
  return `/${name.split('/').map(encodeURIComponent).join('/')}`
}
