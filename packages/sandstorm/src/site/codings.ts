/**
 * Content codings (RFC 9110 §8.4.1) as a site names them: their file suffixes, and how they are
 * made. Each of ours is one shot over bytes that are in memory, in the thread pool.
 */
import { promisify } from 'node:util'
import zlib from 'node:zlib'
import type { CodingName } from './site.ts'

/** Every coding that there is, with what the name of a precompressed sibling ends in. */
export const CODING_SUFFIXES: Readonly<Record<CodingName, string>> = {
  gzip: '.gz',
  br: '.br',
  zstd: '.zst',
}

/** Brotli beyond this size gives up some bytes for a start that does not take minutes. */
const BROTLI_BEST_BYTES = 1 << 20
const BROTLI_QUALITY = 9
const BROTLI_FAST_QUALITY = 5

const gzip = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.gzip)
const brotli = promisify<zlib.InputType, zlib.BrotliOptions, Buffer>(zlib.brotliCompress)

type ZstdCompress = (bytes: Uint8Array, done: (error: Error | null, coded: Buffer) => void) => void
/** Node has it from 22.15 and 23.8 on. */
const zstdCompress = (zlib as { zstdCompress?: ZstdCompress }).zstdCompress

/** Why no file can be put into this coding here, for the reader of a configuration; '': it can. */
export function codingProblem(name: string): string {
  if (!Object.hasOwn(CODING_SUFFIXES, name)) {
    const known = Object.keys(CODING_SUFFIXES).join(', ')
    return `${JSON.stringify(name)} is not a coding; there are ${known}`
  }
  if (name !== 'zstd' || zstdCompress !== undefined) return ''
  return (
    `this Node (${process.versions.node}) cannot make zstd, 22.15 can; ` +
    'put .zst files beside the others, or leave it out'
  )
}

/** The bytes in a coding that has no `codingProblem`. */
export function encode(bytes: Uint8Array, coding: CodingName): Promise<Uint8Array> {
  if (coding === 'gzip') return gzip(bytes, { level: 9 })
  if (coding === 'zstd') return promisify(zstdCompress!)(bytes)
  const isSmall = bytes.length < BROTLI_BEST_BYTES
  return brotli(bytes, {
    params: {
      [zlib.constants.BROTLI_PARAM_QUALITY]: isSmall ? BROTLI_QUALITY : BROTLI_FAST_QUALITY,
      [zlib.constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  })
}
