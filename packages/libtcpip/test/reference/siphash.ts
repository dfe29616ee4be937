/** SipHash-c-d of any message, in BigInt, as the paper writes it: the twin of siphash.ts. */
const MASK = (1n << 64n) - 1n
const rotl = (x: bigint, n: bigint): bigint => ((x << n) | (x >> (64n - n))) & MASK

function word(bytes: Uint8Array, off: number): bigint {
  let w = 0n
  for (let i = 7; i >= 0; i--) w = (w << 8n) | BigInt(bytes[off + i] ?? 0)
  return w
}

export function sipHash(key: Uint8Array, message: Uint8Array, c: number, d: number): bigint {
  const k0 = word(key, 0)
  const k1 = word(key, 8)
  let v0 = k0 ^ 0x736f6d6570736575n
  let v1 = k1 ^ 0x646f72616e646f6dn
  let v2 = k0 ^ 0x6c7967656e657261n
  let v3 = k1 ^ 0x7465646279746573n
  const rounds = (n: number): void => {
    for (let i = 0; i < n; i++) {
      v0 = (v0 + v1) & MASK
      v1 = rotl(v1, 13n) ^ v0
      v0 = rotl(v0, 32n)
      v2 = (v2 + v3) & MASK
      v3 = rotl(v3, 16n) ^ v2
      v0 = (v0 + v3) & MASK
      v3 = rotl(v3, 21n) ^ v0
      v2 = (v2 + v1) & MASK
      v1 = rotl(v1, 17n) ^ v2
      v2 = rotl(v2, 32n)
    }
  }
  for (let off = 0; off <= message.length; off += 8) {
    let m = word(message, off)
    if (off + 8 > message.length) m |= BigInt(message.length & 255) << 56n
    v3 ^= m
    rounds(c)
    v0 ^= m
  }
  v2 ^= 0xffn
  rounds(d)
  return v0 ^ v1 ^ v2 ^ v3
}
