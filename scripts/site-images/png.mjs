/**
 * Palette PNGs (ISO/IEC 15948) of a wished size: colours by median cut and k-means, then as much
 * film grain as brings the file to the wished number of bytes. Grain is what keeps a gradient from
 * banding, so a smooth picture gets more of it and a detailed one less.
 */
import { deflateSync, inflateSync, crc32 as zlibCrc32 } from 'node:zlib'
import { hash } from './noise.mjs'

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
const PALETTE_SIZES = [96, 64, 48, 36, 28, 22, 16, 12, 9]
const GRAIN_LEAST = 4 // below it a gradient shows bands
const GRAIN_MAX = 60

/** Encodes `pixels` (RGB floats 0 … 255) so that the file has about `wantedBytes`. */
export function encode(pixels, width, height, wantedBytes) {
  for (const count of PALETTE_SIZES) {
    const palette = makePalette(pixels, count)
    const nearest = makeNearest(palette)
    const make = grain => write(palette, dither(pixels, width, nearest, grain), width, height)
    if (make(GRAIN_LEAST).length > wantedBytes) continue
    return bisect(make, wantedBytes)
  }
  throw new Error('too much detail: no palette brings the picture down to the wished size')
}

function bisect(make, wantedBytes) {
  let low = GRAIN_LEAST
  let high = GRAIN_MAX
  let best = make(low)
  for (let i = 0; i < 14 && wantedBytes - best.length > 40; i++) {
    const middle = (low + high) / 2
    const file = make(middle)
    if (file.length > wantedBytes) high = middle
    else {
      low = middle
      best = file
    }
  }
  return best
}

/** Palette indexes, one a pixel; grain is the same shift on all three channels. */
function dither(pixels, width, nearest, grain) {
  const indexes = new Uint8Array(pixels.length / 3)
  for (let i = 0; i < indexes.length; i++) {
    const x = i % width
    const y = (i - x) / width
    const shift = grain * (hash(x, y, 7001) + hash(x, y, 7002) - 1)
    indexes[i] = nearest(
      pixels[3 * i] + shift,
      pixels[3 * i + 1] + shift,
      pixels[3 * i + 2] + shift,
    )
  }
  return indexes
}

/** A nearest-colour function with a table of answers, six bits a channel. */
function makeNearest(palette) {
  const known = new Int16Array(1 << 18).fill(-1)
  const cell = v => Math.min(63, Math.max(0, v >> 2))
  return (r, g, b) => {
    const key = (cell(r) << 12) | (cell(g) << 6) | cell(b)
    if (known[key] < 0)
      known[key] = search(palette, 4 * cell(r) + 2, 4 * cell(g) + 2, 4 * cell(b) + 2)
    return known[key]
  }
}

function search(palette, r, g, b) {
  let best = 0
  let bestDistance = Number.POSITIVE_INFINITY
  for (let i = 0; i < palette.length; i++) {
    const [pr, pg, pb] = palette[i]
    // The eye weighs green most, then red: squares of 2, 4, 3 (the usual cheap approximation).
    const distance = 2 * (pr - r) ** 2 + 4 * (pg - g) ** 2 + 3 * (pb - b) ** 2
    if (distance >= bestDistance) continue
    best = i
    bestDistance = distance
  }
  return best
}

function makePalette(pixels, count) {
  const sample = []
  for (let i = 0; i < pixels.length; i += 3 * 7) sample.push(pixels.slice(i, i + 3))
  let palette = medianCut(sample, count)
  for (let round = 0; round < 4; round++) palette = refine(sample, palette)
  return palette
    .map(c => c.map(v => Math.min(255, Math.max(0, Math.round(v)))))
    .sort((a, b) => a[0] + 2 * a[1] + a[2] - (b[0] + 2 * b[1] + b[2]))
}

function medianCut(sample, count) {
  const boxes = [sample]
  while (boxes.length < count) {
    boxes.sort(
      (a, b) => widest(b).span * Math.sqrt(b.length) - widest(a).span * Math.sqrt(a.length),
    )
    const box = boxes.shift()
    const { channel } = widest(box)
    box.sort((a, b) => a[channel] - b[channel])
    boxes.push(box.slice(0, box.length >> 1), box.slice(box.length >> 1))
  }
  return boxes.filter(box => box.length > 0).map(mean)
}

function widest(box) {
  const spans = [0, 1, 2].map(channel => {
    let low = 255
    let high = 0
    for (const colour of box) {
      low = Math.min(low, colour[channel])
      high = Math.max(high, colour[channel])
    }
    return Math.max(0, high - low)
  })
  const span = Math.max(...spans)
  return { channel: spans.indexOf(span), span }
}

const mean = box => [0, 1, 2].map(c => box.reduce((sum, colour) => sum + colour[c], 0) / box.length)

/** One k-means round; a colour that nothing is near stays where it is. */
function refine(sample, palette) {
  const groups = palette.map(() => [])
  for (const colour of sample) groups[search(palette, ...colour)].push(colour)
  return groups.map((group, i) => (group.length > 0 ? mean(group) : palette[i]))
}

function write(palette, indexes, width, height) {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 3, 0, 0, 0], 8) // eight bits a pixel, palette, deflate, filters, not interlaced
  const raw = Buffer.alloc((width + 1) * height) // filter type 0 in front of each line
  for (let y = 0; y < height; y++)
    raw.set(indexes.subarray(y * width, (y + 1) * width), y * (width + 1) + 1)
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('PLTE', Buffer.from(palette.flat())),
    chunk('IDAT', deflateSync(raw, { level: 9, memLevel: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const out = Buffer.alloc(body.length + 8)
  out.writeUInt32BE(data.length, 0)
  out.set(body, 4)
  out.writeUInt32BE(crc32(body), out.length - 4)
  return out
}

/** Throws unless `file` is a whole palette PNG of the given size in pixels. */
export function verify(file, width, height) {
  const fail = why => {
    throw new Error(`not a good PNG: ${why}`)
  }
  if (!file.subarray(0, 8).equals(SIGNATURE)) fail('signature')
  const parts = new Map()
  for (let off = 8; off < file.length; off += file.readUInt32BE(off) + 12) {
    const end = off + 8 + file.readUInt32BE(off)
    if (crc32(file.subarray(off + 4, end)) !== file.readUInt32BE(end)) fail('checksum')
    parts.set(file.toString('latin1', off + 4, off + 8), file.subarray(off + 8, end))
  }
  const header = parts.get('IHDR') ?? fail('no IHDR')
  if (header.readUInt32BE(0) !== width || header.readUInt32BE(4) !== height) fail('dimensions')
  const raw = inflateSync(parts.get('IDAT') ?? fail('no IDAT'))
  if (raw.length !== (width + 1) * height) fail('pixel count')
}

/** CRC-32 of PNG annex D; node:zlib has it from Node 20.15 on. */
const crc32 = bytes => zlibCrc32(bytes) >>> 0
