#!/usr/bin/env node
/**
 * Makes the pictures of examples/site/gallery and the page that shows them: the paper's workload
 * (§3), files of about 22 KB. Nothing but Node is needed, and nothing is random: the same Node
 * makes the same bytes.
 *
 *   node scripts/make-site-images.mjs            writes all pictures and gallery/index.html
 *   node scripts/make-site-images.mjs mirage     writes only the pictures whose name has "mirage"
 *   node scripts/make-site-images.mjs --check    verifies what is there: each a whole PNG of the
 *                                                right size in pixels and bytes, no two alike
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { catalogue } from './site-images/catalogue.mjs'
import { galleryPage } from './site-images/page.mjs'
import { encode, verify } from './site-images/png.mjs'

const WIDTH = 384
const HEIGHT = 240
const SAMPLES = 2 // a side: each pixel is the mean of SAMPLES * SAMPLES points
const WANTED_BYTES = 22 * 1024
const LEAST_BYTES = 20_000
const MOST_BYTES = 25_000

const gallery = new URL('../examples/site/gallery/', import.meta.url)
const images = new URL('images/', gallery)

function render(shade) {
  const pixels = new Array(WIDTH * HEIGHT * 3).fill(0)
  const step = 1 / (HEIGHT * SAMPLES)
  for (let y = 0; y < HEIGHT * SAMPLES; y++) {
    for (let x = 0; x < WIDTH * SAMPLES; x++) {
      const colour = shade((x + 0.5) * step, (y + 0.5) * step)
      const i = 3 * (Math.floor(y / SAMPLES) * WIDTH + Math.floor(x / SAMPLES))
      for (let c = 0; c < 3; c++)
        pixels[i + c] += (255 * Math.min(1, Math.max(0, colour[c]))) / SAMPLES ** 2
    }
  }
  return pixels
}

function make(part) {
  mkdirSync(images, { recursive: true })
  for (const { file, shade } of catalogue) {
    if (!file.includes(part)) continue
    const png = encode(render(shade), WIDTH, HEIGHT, WANTED_BYTES)
    writeFileSync(new URL(file, images), png)
    console.log(`${file}  ${png.length} bytes`)
  }
  writeFileSync(new URL('index.html', gallery), galleryPage(catalogue, WIDTH, HEIGHT))
}

function check() {
  const found = readdirSync(images).sort()
  const expected = catalogue.map(entry => entry.file).sort()
  if (found.join() !== expected.join()) throw new Error('images/ is not what the catalogue says')
  const seen = new Set()
  let total = 0
  for (const file of found) {
    const png = readFileSync(new URL(file, images))
    verify(png, WIDTH, HEIGHT)
    if (png.length < LEAST_BYTES || png.length > MOST_BYTES)
      throw new Error(`${file} has ${png.length} bytes, not ${LEAST_BYTES} to ${MOST_BYTES}`)
    seen.add(png.toString('latin1'))
    total += png.length
  }
  if (seen.size !== found.length) throw new Error('two pictures are the same')
  const page = readFileSync(new URL('index.html', gallery), 'utf8')
  if (page !== galleryPage(catalogue, WIDTH, HEIGHT)) throw new Error('gallery/index.html is stale')
  console.log(`${found.length} pictures, ${total} bytes, ${LEAST_BYTES} to ${MOST_BYTES} each`)
}

const argument = process.argv[2] ?? ''
if (argument !== '--check') make(argument)
check()
