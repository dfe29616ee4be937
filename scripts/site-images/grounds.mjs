/**
 * Pictures of the ground, most from above: ripples, barchan dunes, sandstone strata, dried clay,
 * and the wind itself drawn by line integral convolution. Same form as skies.mjs.
 */
import { clamp, fbm, hash, lerp, mix, noise, ramp, rgb, smooth } from './noise.mjs'

/** Shades a height field from above: three tones by how much a slope faces the light. */
function relief(height, o, u, v, scale) {
  const d = 0.0025
  const dx = (height(u + d, v) - height(u - d, v)) / (2 * d)
  const dy = (height(u, v + d) - height(u, v - d)) / (2 * d)
  const slope = (dx * Math.cos(o.light) + dy * Math.sin(o.light)) * scale
  return clamp(0.5 + slope / Math.sqrt(1 + slope * slope) / 2)
}

/** Wind ripples: sharp-crested waves that wander, split and join. */
export function ripples(o) {
  const colours = o.colours.map(rgb)
  const height = (u, v) => {
    const x = u * Math.cos(o.turn) + v * Math.sin(o.turn)
    const y = v * Math.cos(o.turn) - u * Math.sin(o.turn)
    const bend =
      o.bend * (fbm(x * 1.4, y * 2.2, o.seed, 4) - 0.5) + 0.05 * noise(x * 9, y * 5, o.seed + 5)
    const phase = (y + bend) * o.count
    const f = phase - Math.floor(phase)
    const strength = 0.55 + 0.65 * noise(x * 3, Math.floor(phase) * 0.7, o.seed + 6)
    const wave = f < 0.66 ? smooth(0, 0.66, f) : smooth(1, 0.66, f)
    return (wave * strength) / o.count + 0.06 * fbm(u * 1.8, v * 1.8, o.seed + 8, 3)
  }
  return (u, v) => {
    const tone = relief(height, o, u, v, 1.15)
    const drift = 0.3 * (fbm(u * 1.5, v * 1.5, o.seed + 12, 3) - 0.5)
    return ramp(colours, tone + drift)
  }
}

/** Barchans: crescents that march over a hard plain, horns downwind. */
export function barchans(o) {
  const colours = o.colours.map(rgb)
  const plain = rgb(o.plain)
  const height = (u, v) => {
    let h = 0
    const cu = Math.floor(u * o.count)
    const cv = Math.floor(v * o.count)
    for (let i = cu - 1; i <= cu + 1; i++)
      for (let j = cv - 1; j <= cv + 1; j++)
        h = Math.max(h, barchan(o, u * o.count, v * o.count, i, j))
    return h / o.count
  }
  return (u, v) => {
    const h = height(u, v)
    let shadow = 0
    for (let k = 1; k <= 9; k++) {
      const t = k * 0.009
      const ahead = height(u - Math.cos(o.light) * t, v - Math.sin(o.light) * t)
      shadow = Math.max(shadow, smooth(0, 0.006, ahead - h - t * o.low))
    }
    const streak = fbm(u * 3 + v, v * 22, o.seed + 3, 4)
    const tone = relief(height, { light: o.light + Math.PI }, u, v, 2.6)
    const ground = mix(plain, ramp(colours, 0.45), 0.45 * smooth(0.4, 0.75, streak))
    const surface = mix(ground, ramp(colours, 0.1 + 0.9 * tone), smooth(0, 0.012, h))
    return mix(surface, ramp(colours, 0), 0.78 * shadow)
  }
}

function barchan(o, x, y, i, j) {
  if (hash(i, j, o.seed) > o.fill) return 0
  const size = lerp(0.34, 0.72, hash(i, j, o.seed + 1))
  const px = (x - i - lerp(0.2, 0.8, hash(i, j, o.seed + 2))) / size
  const py = (y - j - lerp(0.2, 0.8, hash(i, j, o.seed + 3))) / size
  const wx = px + 0.12 * (noise(px * 3 + i, py * 3 + j, o.seed + 4) - 0.5)
  const wy = py * 0.86
  const body = 1 - Math.hypot(wx * 0.9, wy)
  const bite = Math.hypot((wx - 0.62) * 0.82, wy * 0.92) - 0.72
  return size * 0.42 * Math.max(0, Math.min(body, bite * 1.25))
}

/** Sandstone: beds of old dunes, cut and polished by the wind. */
export function strata(o) {
  const colours = o.colours.map(rgb)
  return (u, v) => {
    const swirl = fbm(u * 1.1, v * 1.1, o.seed, 3)
    const depth =
      v * o.count +
      o.sweep * swirl +
      0.8 * Math.sin(u * 2.2 + o.seed) +
      0.16 * fbm(u * 7, v * 7, o.seed + 5, 4)
    const bed = Math.floor(depth)
    const fine = noise(depth * 7, u * 0.4, o.seed + 7)
    const tone = lerp(hash(bed, 0, o.seed), hash(bed + 1, 0, o.seed), smooth(0.35, 1, depth - bed))
    const edge = Math.exp(-(depth - bed) * 12)
    const bulge = Math.sin((depth - bed) * Math.PI) - 0.5
    return ramp(colours, 0.08 + 0.72 * tone + 0.22 * (fine - 0.5) + 0.16 * bulge - 0.16 * edge)
  }
}

/** A dried lake: plates of clay with dark cracks, and the light from one side. */
export function clay(o) {
  const colours = o.colours.map(rgb)
  const crackAt = (u, v) => {
    const x = u * o.count + 0.5 * fbm(u * 6, v * 6, o.seed + 3, 3)
    const y = (v * o.count) / o.flat + 0.5 * fbm(u * 6 + 4, v * 6, o.seed + 4, 3)
    return cells(x, y, o.seed)
  }
  return (u, v) => {
    const here = crackAt(u, v)
    const beside = crackAt(u - 0.008, v - 0.009)
    const curl = smooth(0.02, 0.4, here.edge)
    const side = clamp(0.5 + 1.5 * (here.edge - beside.edge))
    const grain = fbm(u * 18, v * 18, o.seed + 6, 3) - 0.5
    const plate = ramp(
      colours,
      0.34 + 0.5 * side + 0.26 * (here.id - 0.5) + 0.07 * grain - 0.12 * curl,
    )
    return mix(ramp(colours, 0), plate, smooth(0.015, 0.06, here.edge))
  }
}

/** Distance to the nearest border between Voronoi cells, and a number for the cell. */
function cells(x, y, seed) {
  const ix = Math.floor(x)
  const iy = Math.floor(y)
  let first = 9
  let second = 9
  let id = 0
  for (let i = ix - 2; i <= ix + 2; i++)
    for (let j = iy - 2; j <= iy + 2; j++) {
      const d = Math.hypot(x - i - hash(i, j, seed), y - j - hash(i, j, seed + 1))
      if (d < first) {
        second = first
        first = d
        id = hash(i, j, seed + 2)
      } else if (d < second) second = d
    }
  return { edge: second - first, id }
}

/** The wind made visible: noise smeared along a flow field (line integral convolution). */
export function wind(o) {
  const colours = o.colours.map(rgb)
  const steps = 26
  const follow = (u, v, sign) => {
    let sum = 0
    for (let k = 0; k < steps; k++) {
      const angle = o.turn + o.curl * (fbm(u * o.scale, v * o.scale, o.seed, 3) - 0.5) * 2
      u += sign * Math.cos(angle) * 0.0062
      v += sign * Math.sin(angle) * 0.0062
      sum += noise(u * 95, v * 95, o.seed + 5) * (1 - k / steps)
    }
    return sum
  }
  return (u, v) => {
    const smeared = (follow(u, v, 1) + follow(u, v, -1)) / (steps + 1)
    const body = fbm(u * o.scale + 3, v * o.scale, o.seed + 9, 4)
    return ramp(colours, clamp(0.5 + 2.4 * (smeared - 0.5) + 1.15 * (body - 0.5)))
  }
}
