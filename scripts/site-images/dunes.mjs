/**
 * Dunes as a height field, seen by ray marching. A dune rises gently against the wind and falls
 * steeply behind its crest; the crest line wanders, and a low sun does the rest.
 */
import { add, clamp, fbm, hash, lerp, mix, noise, ramp, rgb, smooth } from './noise.mjs'

const STEPS = 150
const FAR = 34

/** One perspective view. `o`: seed, turn, eye, sun, and five colours. */
export function dunes(o) {
  const height = heightField(o)
  const sun = unit(o.sun)
  const colours = Object.fromEntries(
    Object.entries(o.colours).map(([k, v]) => [k, [v].flat().map(rgb)]),
  )
  const eye = o.eye + Math.max(height(0, 0), height(0, 0.6) - 0.1, height(0, 1.2) - 0.25)
  return (u, v) => {
    const ray = unit([(u - 0.8) * 1.25, (o.horizon - v) * 1.25, 1])
    const t = march(height, eye, ray)
    if (t < 0) return sky(o, colours, sun, u, v, ray)
    const at = [ray[0] * t, eye + ray[1] * t, ray[2] * t]
    const haze = 1 - Math.exp(-((t / o.clear) ** 1.6))
    return mix(sand(o, colours, height, sun, at, t), ramp(colours.sky, 1), haze)
  }
}

function heightField(o) {
  const c = Math.cos(o.turn)
  const s = Math.sin(o.turn)
  return (x0, z0) => {
    const x = c * x0 + s * z0
    const z = c * z0 - s * x0
    const big = dune(x * 0.16, z * 0.3 + 1.3 * fbm(x * 0.22, z * 0.14, o.seed, 3), o.seed + 9)
    const small = dune(
      x * 0.4 + 7,
      z * 0.8 + 1.1 * fbm(x * 0.5 + 3, z * 0.3, o.seed + 20, 2),
      o.seed + 31,
    )
    return (
      o.rise * big + 0.13 * o.rise * small + 0.35 * o.rise * noise(x * 0.13, z * 0.13, o.seed + 40)
    )
  }
}

/** A train of dunes along z: each has its own height, which changes along its crest. */
function dune(x, z, seed) {
  const i = Math.floor(z)
  const f = z - i
  const profile = f < 0.74 ? Math.sin((f / 0.74) * 1.5708) ** 1.5 : (1 - (f - 0.74) / 0.26) ** 0.92
  return profile * (0.25 + 0.95 * smooth(0.15, 0.85, noise(x * 1.7 + 13.7 * i, i * 3.1, seed)))
}

function march(height, eye, ray) {
  let t = 0.15
  let before = t
  for (let i = 0; i < STEPS && t < FAR; i++) {
    const gap = eye + ray[1] * t - height(ray[0] * t, ray[2] * t)
    if (gap < 0) return halve(height, eye, ray, before, t)
    before = t
    t += Math.max(0.02 + 0.006 * t, gap * 0.42)
    if (ray[1] > 0 && eye + ray[1] * t > 4) return -1
  }
  return t < FAR ? t : -1
}

function halve(height, eye, ray, low, high) {
  for (let i = 0; i < 8; i++) {
    const t = (low + high) / 2
    if (eye + ray[1] * t < height(ray[0] * t, ray[2] * t)) high = t
    else low = t
  }
  return high
}

function sand(o, colours, height, sun, at, t) {
  const [x, , z] = at
  const d = 0.012 + 0.004 * t
  const ripple = (px, pz) =>
    0.0045 *
    Math.exp(-t / 3) *
    Math.sin(70 * (pz * 0.8 + px * 0.6 + 0.35 * fbm(px * 1.5, pz * 1.5, o.seed + 50, 3)))
  const h = (px, pz) => height(px, pz) + ripple(px, pz)
  const normal = unit([h(x - d, z) - h(x + d, z), 2 * d, h(x, z - d) - h(x, z + d)])
  const facing = normal[0] * sun[0] + normal[1] * sun[1] + normal[2] * sun[2]
  const light = smooth(-0.05, 0.75, facing) * lit(height, at, sun)
  const upward = clamp(normal[1]) ** 3
  const base = mix(colours.shade[0], add(colours.shade[0], colours.sky[0], 0.25), upward)
  return mix(base, ramp([colours.sand[0], colours.sand[1]], smooth(0.35, 0.95, facing)), light)
}

/** 1 in the sun, 0 in the shadow of another dune, soft at the edge. */
function lit(height, [x, y, z], sun) {
  let open = 1
  for (let t = 0.06, i = 0; i < 22; i++, t *= 1.24) {
    const gap = y + 0.012 + sun[1] * t - height(x + sun[0] * t, z + sun[2] * t)
    open = Math.min(open, clamp(0.5 + (11 * gap) / t))
    if (open <= 0) return 0
  }
  return open
}

function sky(o, colours, sun, u, v, ray) {
  let colour = ramp(colours.sky, clamp((v / o.horizon) ** 1.15))
  const towards = clamp(ray[0] * sun[0] + ray[1] * sun[1] + ray[2] * sun[2])
  colour = add(colour, colours.glow[0], 0.22 * towards ** 10 + 0.4 * towards ** 120)
  colour = mix(colour, colours.glow[0], smooth(0.9975, 0.9982, towards))
  return o.stars
    ? add(colour, [1, 0.97, 0.9], star(u, v, o.seed, 60) * smooth(o.horizon, 0, v))
    : colour
}

/** Brightness of a random star field at a point, `density` cells a unit. */
export function star(u, v, seed, density) {
  const ix = Math.floor(u * density)
  const iy = Math.floor(v * density)
  if (hash(ix, iy, seed) < 0.55) return 0
  const dx = u * density - ix - lerp(0.25, 0.75, hash(ix, iy, seed + 1))
  const dy = v * density - iy - lerp(0.25, 0.75, hash(ix, iy, seed + 2))
  const size = 0.05 + 0.2 * hash(ix, iy, seed + 3) ** 6
  return (
    smooth(size * 1.6, size * 0.4, Math.hypot(dx, dy)) * lerp(0.25, 1, hash(ix, iy, seed + 4) ** 2)
  )
}

function unit(v) {
  const length = Math.hypot(...v)
  return v.map(x => x / length)
}
