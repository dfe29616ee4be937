/**
 * Pictures whose subject is the air: ridges in haze, the Milky Way, star trails, dust walls,
 * cyclones, lightning, a mirage. Each export takes its options and returns (u, v) → colour, with
 * u in [0, 1.6] and v in [0, 1] downwards.
 */
import { star } from './dunes.mjs'
import { add, billow, clamp, fbm, hash, lerp, mix, noise, ramp, rgb, smooth } from './noise.mjs'

/** Height of ridge line `i` at u: long dunes with one sharp crest each. */
function ridge(u, i, seed, reach) {
  const x = u * (1.05 + 0.16 * i) + 10 * hash(i, 1, seed) + 0.5 * noise(u * 2, i, seed)
  const f = x - Math.floor(x)
  const lean = 0.62 + 0.2 * hash(Math.floor(x), i, seed)
  const dune = f < lean ? (f / lean) ** 1.7 : ((1 - f) / (1 - lean)) ** 1.25
  return (
    reach * (0.25 + 0.75 * hash(Math.floor(x), i, seed + 1)) * dune +
    0.03 * noise(u * 3, i, seed + 2)
  )
}

/** Layered dune ridges before a large sun, as on a poster. */
export function ridges(o) {
  const skyColours = o.sky.map(rgb)
  const near = rgb(o.near)
  const sun = rgb(o.sunColour)
  return (u, v) => {
    const far = Math.hypot(u - o.sun[0], v - o.sun[1])
    let colour = ramp(skyColours, clamp(v / 0.78))
    colour = add(colour, sun, 0.32 * Math.exp(-far * 3.2))
    const band = smooth(-0.1, 0.25, Math.sin(v * 150) + (o.sun[1] + o.radius * 0.35 - v) * 30)
    colour = mix(
      colour,
      sun,
      smooth(o.radius + 0.0025, o.radius - 0.0025, far) * (o.bands ? band : 1),
    )
    for (let i = 0; i < o.layers; i++) {
      const depth = (i + 1) / o.layers
      const top = lerp(0.6, 0.93, depth ** 0.9) - ridge(u, i, o.seed, 0.16)
      const inside = smooth(top - 0.002, top + 0.002, v)
      if (inside === 0) continue
      const body = mix(ramp(skyColours, 0.96), near, depth ** 0.85)
      const rim = Math.exp(-(v - top) * 26) * 0.22 * (1 - depth * 0.5)
      colour = mix(colour, add(body, sun, rim), inside)
    }
    return colour
  }
}

/** The Milky Way over a black ridge; `o.moon` puts a crescent beside it. */
export function milkyWay(o) {
  const skyColours = o.sky.map(rgb)
  const cloud = o.cloud.map(rgb)
  return (u, v) => {
    const along = (u - o.at) * Math.cos(o.tilt) + (v - 0.4) * Math.sin(o.tilt)
    const across = (v - 0.4) * Math.cos(o.tilt) - (u - o.at) * Math.sin(o.tilt)
    const veil = fbm(along * 3.5, across * 7 + 3, o.seed, 6)
    const band = Math.exp(-((across / (0.1 + 0.1 * veil)) ** 2))
    const dust =
      smooth(0.42, 0.68, fbm(along * 5 + 9, across * 13, o.seed + 8, 5)) *
      Math.exp(-((across / 0.07) ** 2))
    let colour = ramp(skyColours, v / 0.85)
    colour = add(colour, ramp(cloud, veil), 0.85 * band * smooth(0.2, 0.75, veil))
    colour = mix(colour, ramp(skyColours, 0.2), 0.75 * dust)
    const stars = star(u, v, o.seed, 46) + star(u, v, o.seed + 50, 100) * (0.25 + band)
    colour = add(colour, [1, 0.96, 0.9], stars * smooth(0.86, 0.6, v))
    if (o.moon) colour = crescent(colour, u, v, o.moon)
    return foreground(colour, u, v, o, skyColours)
  }
}

function crescent(colour, u, v, [mu, mv, size]) {
  const full = smooth(size, size - 0.004, Math.hypot(u - mu, v - mv))
  const bite = smooth(size, size - 0.006, Math.hypot(u - mu - size * 0.42, v - mv + size * 0.22))
  const glow = 0.16 * Math.exp(-Math.hypot(u - mu, v - mv) * 7)
  return mix(add(colour, [1, 0.93, 0.78], glow), [1, 0.96, 0.86], full * (1 - bite))
}

function foreground(colour, u, v, o, skyColours) {
  const ground = rgb(o.ground)
  for (let i = 0; i < 2; i++) {
    const top = 0.78 + 0.11 * i - ridge(u * 0.8 + o.seed, i, o.seed + 60, 0.15)
    const body = mix(
      mix(ground, ramp(skyColours, 1), 0.4 - 0.35 * i),
      ground,
      smooth(top, top + 0.15, v),
    )
    colour = mix(colour, body, smooth(top - 0.002, top + 0.002, v))
  }
  return colour
}

/** Long exposure: every star an arc around the pole. */
export function starTrails(o) {
  const skyColours = o.sky.map(rgb)
  const tints = o.tints.map(rgb)
  return (u, v) => {
    const radius = Math.hypot(u - o.pole[0], v - o.pole[1])
    const angle = Math.atan2(v - o.pole[1], u - o.pole[0]) / (2 * Math.PI) + 0.5
    let colour = ramp(skyColours, v / 0.85)
    for (let layer = 0; layer < 2; layer++) {
      const rings = layer ? 46 : 29
      const i = Math.floor(radius * rings)
      const turned = (angle + hash(i, layer, o.seed)) * (1 + (i % 5))
      const phase = turned - Math.floor(turned)
      const on = smooth(0, 0.08, phase) * smooth(o.arc, o.arc - 0.1, phase)
      const offset = radius * rings - i - lerp(0.3, 0.7, hash(i, layer, o.seed + 2))
      const line =
        smooth(0.24, 0.05, Math.abs(offset)) * on * (0.15 + 0.85 * hash(i, layer, o.seed + 3) ** 2)
      colour = add(colour, ramp(tints, hash(i, layer, o.seed + 4)), 0.9 * line)
    }
    return foreground(colour, u, v, o, skyColours)
  }
}

/** A wall of dust that rolls over the plain. */
export function haboob(o) {
  const skyColours = o.sky.map(rgb)
  const dust = o.dust.map(rgb)
  const plain = o.plain.map(rgb)
  return (u, v) => {
    const horizon = 0.79
    let colour = ramp(skyColours, clamp(v / horizon))
    for (let layer = 0; layer < 3; layer++) {
      const lean =
        lerp(o.top, o.top + 0.38, layer / 2) + 0.16 * (o.from === 'left' ? u / 1.6 : 1 - u / 1.6)
      const edge = lean - 0.22 * billow(u * (2.2 + layer), layer * 7, o.seed + layer, 4)
      const body = smooth(edge - 0.012, edge + 0.02, v)
      const bend = 0.9 * fbm(u * 2.5, v * 2.5, o.seed + 9, 3)
      const puff = (x, y) =>
        billow(x * (3.4 + layer) + bend, y * (4 + layer) + bend, o.seed + 20 + layer, 3)
      const here = puff(u, v)
      const shade = clamp(
        0.46 +
          1.7 * (here - puff(u - 0.016, v - 0.03)) +
          0.5 * (here - 0.4) -
          0.55 * (v - edge) +
          0.1 * layer,
      )
      colour = mix(colour, ramp(dust, shade), body)
    }
    const streak = fbm(u * 2.5 * (1.15 - v), 30 * (v - horizon) + 2, o.seed + 40, 4)
    const ground = ramp(plain, clamp((v - horizon) * 3.6 + 0.5 * (streak - 0.5)))
    colour = mix(colour, ground, smooth(horizon - 0.003, horizon + 0.003, v))
    return mix(colour, ramp(dust, 0.6), 0.5 * Math.exp(-Math.abs(v - horizon) * 30))
  }
}

/** A cyclone of dust, seen from orbit. */
export function vortex(o) {
  const colours = o.colours.map(rgb)
  return (u, v) => {
    const x = u - o.at[0]
    const y = (v - o.at[1]) * o.flat
    const radius = Math.hypot(x, y) + 1e-6
    const angle = Math.atan2(y, x) + o.twist * Math.log(radius + 0.05)
    const arms = 0.5 + 0.5 * Math.cos(angle * o.arms + 2.6 * fbm(x * 3, y * 3, o.seed, 4))
    const cx = Math.cos(angle) * (0.5 + radius * 2)
    const cy = Math.sin(angle) * (0.5 + radius * 2)
    const cloud = (dx, dy) => fbm((cx + dx) * 2.4 + x * 3, (cy + dy) * 2.4 + y * 3, o.seed + 9, 6)
    const here = cloud(0, 0)
    const cover = smooth(
      0.3,
      1.15,
      0.42 * arms + 0.95 * here - 0.32 * radius + 0.12 * Math.exp(-radius * 6),
    )
    const eye = smooth(o.eye, o.eye * 2.6, radius)
    const tone = clamp(cover * (0.15 + 0.85 * eye) + 1.1 * (here - cloud(-0.03, -0.04)))
    return ramp(colours, tone)
  }
}

/** Forked lightning over a dark ridge. */
export function lightning(o) {
  const skyColours = o.sky.map(rgb)
  const flash = rgb(o.flash)
  const strokes = o.strokes.flatMap((stroke, i) => bolt(stroke, o.seed + 10 * i, 0))
  return (u, v) => {
    const cloud = billow(u * 1.8, v * 3.2 + 1, o.seed, 5)
    const ceiling = smooth(0.62, 0, v)
    let colour = mix(ramp(skyColours, v / 0.82), ramp(skyColours, 0), 0.8 * ceiling * (1 - cloud))
    let core = 0
    let halo = 0
    for (const s of strokes) {
      const d = segmentDistance(u, v, s)
      core = Math.max(core, s.width * smooth(0.0055 * s.width, 0.001, d))
      halo = Math.max(halo, s.width * Math.exp(-d * 11))
    }
    colour = add(colour, flash, 0.42 * halo * (0.45 + 0.75 * cloud))
    colour = mix(colour, [1, 1, 1], clamp(core))
    return foreground(colour, u, v, o, skyColours)
  }
}

/** A stroke as jagged segments from the cloud to the ground, with its branches. */
function bolt([x0, y0, x1, y1], seed, depth) {
  const steps = depth === 0 ? 26 : 12
  const out = []
  let x = x0
  let y = y0
  for (let i = 1; i <= steps; i++) {
    const jag =
      i === steps && depth === 0 ? 0 : (hash(i, depth, seed) - 0.5) * (depth ? 0.05 : 0.085)
    const nx = lerp(x0, x1, i / steps) + jag
    const ny = lerp(y0, y1, (i + 0.5 * (hash(i, depth, seed + 1) - 0.5)) / steps)
    out.push({ x, y, nx, ny, width: depth === 0 ? 1 : 0.55 * (1 - i / steps) + 0.08 })
    if (depth === 0 && hash(i, 9, seed) > 0.74 && i < steps - 5) {
      const side = hash(i, 8, seed) > 0.5 ? 1 : -1
      const end = [nx + side * (0.12 + 0.2 * hash(i, 6, seed)), ny + 0.1 + 0.2 * hash(i, 7, seed)]
      out.push(...bolt([nx, ny, ...end], seed + i, 1))
    }
    x = nx
    y = ny
  }
  return out
}

function segmentDistance(u, v, { x, y, nx, ny }) {
  const dx = nx - x
  const dy = ny - y
  const t = clamp(((u - x) * dx + (v - y) * dy) / (dx * dx + dy * dy + 1e-9))
  return Math.hypot(u - x - t * dx, v - y - t * dy)
}

/** A low sun over a salt flat that looks like water. */
export function mirage(o) {
  const skyColours = o.sky.map(rgb)
  const sun = rgb(o.sunColour)
  const horizon = o.horizon
  const above = (u, v) => {
    const far = Math.hypot(u - o.sun, v - (horizon - o.lift))
    let colour = ramp(skyColours, clamp(v / horizon))
    const streak = fbm(u * 1.2, v * 9, o.seed, 5)
    colour = mix(
      colour,
      ramp(skyColours, 0.75),
      0.75 * smooth(0.45, 0.75, streak) * smooth(0, 0.4, v),
    )
    colour = add(colour, sun, 0.16 * Math.exp(-far * 4.5))
    colour = mix(colour, sun, smooth(o.radius, o.radius - 0.005, far))
    const hill = horizon - 0.05 * fbm(u * 3.2, 1, o.seed + 4, 5) ** 2 * 2.4
    return mix(
      colour,
      ramp(skyColours, 0.5).map(c => c * 0.42),
      smooth(hill - 0.003, hill + 0.001, v),
    )
  }
  return (u, v) => {
    if (v < horizon) return above(u, v)
    const depth = (v - horizon) / (1 - horizon)
    const wave =
      (fbm(u * (5 - 3 * depth), 60 * depth ** 0.5, o.seed + 7, 3) - 0.5) * (0.05 + 0.12 * depth)
    const mirror = above(
      u + wave * 0.5,
      clamp(horizon - (v - horizon) * 0.9 + wave * 0.6, 0, horizon - 0.001),
    )
    return mix(mirror, rgb(o.ground), 0.12 + 0.62 * depth ** 1.3)
  }
}
