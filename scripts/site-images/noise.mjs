/**
 * Seeded noise and small shaping functions for the example site's pictures. Everything is a pure
 * function of its arguments: the same seed gives the same picture on every run.
 */

/** A hash of three integers as a number in [0, 1). */
export function hash(x, y, seed) {
  let h = Math.imul(x, 0x27d4eb2d) ^ Math.imul(y, 0x165667b1) ^ Math.imul(seed, 0x9e3779b1)
  h = Math.imul(h ^ (h >>> 15), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return ((h ^ (h >>> 16)) >>> 0) / 4294967296
}

/** Value noise in [0, 1) with smooth second derivatives. */
export function noise(x, y, seed) {
  const ix = Math.floor(x)
  const iy = Math.floor(y)
  const fx = x - ix
  const fy = y - iy
  const sx = fx * fx * fx * (fx * (fx * 6 - 15) + 10)
  const sy = fy * fy * fy * (fy * (fy * 6 - 15) + 10)
  const top = lerp(hash(ix, iy, seed), hash(ix + 1, iy, seed), sx)
  const bottom = lerp(hash(ix, iy + 1, seed), hash(ix + 1, iy + 1, seed), sx)
  return lerp(top, bottom, sy)
}

/** Fractal noise in [0, 1): each octave turned, twice as fine, half as strong. */
export function fbm(x, y, seed, octaves = 5) {
  let sum = 0
  let weight = 0.5
  let total = 0
  for (let i = 0; i < octaves; i++) {
    sum += weight * noise(x, y, seed + i)
    total += weight
    weight *= 0.5
    const turned = 1.6 * x - 1.2 * y + 17.3
    y = 1.2 * x + 1.6 * y - 9.1
    x = turned
  }
  return sum / total
}

/** Billows: rounded heads with sharp valleys between them, as in dust and thunder clouds. */
export function billow(x, y, seed, octaves = 5) {
  let sum = 0
  let weight = 0.5
  let total = 0
  for (let i = 0; i < octaves; i++) {
    sum += weight * Math.abs(2 * noise(x, y, seed + i) - 1)
    total += weight
    weight *= 0.52
    const turned = 1.6 * x - 1.2 * y + 5.7
    y = 1.2 * x + 1.6 * y + 3.9
    x = turned
  }
  return sum / total
}

export const lerp = (a, b, t) => a + (b - a) * t
export const clamp = (v, low = 0, high = 1) => Math.min(high, Math.max(low, v))

/** 0 below `from`, 1 above `to`, smooth between. */
export function smooth(from, to, v) {
  const t = clamp((v - from) / (to - from))
  return t * t * (3 - 2 * t)
}

/** '#rrggbb' as three numbers in [0, 1]. */
export const rgb = hex => [1, 3, 5].map(i => Number.parseInt(hex.slice(i, i + 2), 16) / 255)

export const mix = (a, b, t) => [lerp(a[0], b[0], t), lerp(a[1], b[1], t), lerp(a[2], b[2], t)]
export const add = (a, b, k) => [a[0] + b[0] * k, a[1] + b[1] * k, a[2] + b[2] * k]

/** A gradient through evenly spaced colours, t in [0, 1]. */
export function ramp(colours, t) {
  const at = clamp(t) * (colours.length - 1)
  const i = Math.min(colours.length - 2, Math.floor(at))
  return mix(colours[i], colours[i + 1], at - i)
}
