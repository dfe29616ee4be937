/**
 * Globs over request paths (site.ts: Rule). A pattern becomes a list of tokens for each choice of
 * its braces, and a path is matched by following all the places in the list where it could be at
 * once, as an automaton does: the time is at most pattern times path, whatever they hold. A RegExp
 * of the same pattern would try the ways to place its stars one after the other.
 */

/** Tells if a decoded path, which begins with "/", is meant. */
export type Glob = (path: string) => boolean

/** Braces of a pattern may stand for so many patterns in all. */
const CHOICES_MAX = 256

/** One character, of those that `accepts`. */
interface One {
  readonly kind: 'one'
  readonly accepts: (char: string) => boolean
}
/** Any characters; slashes among them if `crosses`. */
interface Star {
  readonly kind: 'star'
  readonly crosses: boolean
}
/** Whole segments with their slashes, or none; its second place is inside of a segment. */
interface Segments {
  readonly kind: 'segments' | 'inside'
}
type Token = One | Star | Segments

/** Compiles a pattern; throws an Error with the reason if it is none. */
export function compileGlob(pattern: string): Glob {
  if (pattern === '') throw new Error('the glob is empty')
  const isForName = !pattern.includes('/')
  const rooted = isForName || pattern.startsWith('/') ? pattern : `/${pattern}`
  const lists = expandBraces(rooted).map(choice => tokens([...choice]))
  return path => {
    const chars = [...(isForName ? path.slice(path.lastIndexOf('/') + 1) : path)]
    return lists.some(list => matches(list, chars))
  }
}

/** The patterns that a pattern with braces stands for. */
function expandBraces(pattern: string): string[] {
  const open = indexOutside(pattern, '{', 0)
  if (open < 0) {
    if (indexOutside(pattern, '}', 0) >= 0) throw new Error('"}" without "{"')
    return [pattern]
  }
  const parts: string[] = []
  let depth = 1
  let from = open + 1
  let at = from
  for (; depth > 0; at++) {
    if (at >= pattern.length) throw new Error('"{" without "}"')
    const c = pattern[at]
    if (c === '\\') at++
    else if (c === '[') at = classEnd(pattern, at)
    else if (c === '{') depth++
    else if (c === '}') depth--
    if ((c === ',' && depth === 1) || depth === 0) {
      parts.push(pattern.slice(from, at))
      from = at + 1
    }
  }
  if (indexOutside(pattern.slice(0, open), '}', 0) >= 0) throw new Error('"}" without "{"')
  const choices: string[] = []
  for (const part of parts) {
    choices.push(...expandBraces(pattern.slice(0, open) + part + pattern.slice(at)))
    if (choices.length > CHOICES_MAX) throw new Error(`more than ${CHOICES_MAX} choices in braces`)
  }
  return choices
}

/** Where `char` stands in a pattern, but for escaped ones and those in a class; -1: nowhere. */
function indexOutside(pattern: string, char: string, from: number): number {
  for (let at = from; at < pattern.length; at++) {
    if (pattern[at] === char) return at
    if (pattern[at] === '\\') at++
    else if (pattern[at] === '[') at = classEnd(pattern, at)
  }
  return -1
}

/**
 * Where the class that begins at `open` ends: at its "]", which may also be its first character.
 */
function classEnd(pattern: string | readonly string[], open: number): number {
  let at = open + 1
  if (pattern[at] === '!' || pattern[at] === '^') at++
  for (const first = at; at < pattern.length; at++) {
    if (pattern[at] === '\\') at++
    else if (pattern[at] === ']' && at > first) return at
  }
  throw new Error('"[" without "]"')
}

function tokens(chars: readonly string[]): Token[] {
  const list: Token[] = []
  for (let at = 0; at < chars.length; at++) {
    const c = chars[at]
    if (c === '*') {
      let stars = 1
      while (chars[at + stars] === '*') stars++
      if (stars > 2) throw new Error('"***" means nothing; "**" crosses slashes')
      const isWhole = stars === 2 && chars[at - 1] === '/' && chars[at + 2] === '/'
      if (isWhole) list.push({ kind: 'segments' }, { kind: 'inside' })
      else list.push({ kind: 'star', crosses: stars === 2 })
      at += isWhole ? 2 : stars - 1
    } else if (c === '?') {
      list.push({ kind: 'one', accepts: char => char !== '/' })
    } else if (c === '[') {
      const end = classEnd(chars, at)
      list.push({ kind: 'one', accepts: charClass(chars.slice(at + 1, end)) })
      at = end
    } else {
      if (c === '\\' && ++at === chars.length) throw new Error('it ends in "\\"')
      const literal = chars[at]
      list.push({ kind: 'one', accepts: char => char === literal })
    }
  }
  return list
}

/** The characters of a class, as between its brackets. */
function charClass(chars: readonly string[]): (char: string) => boolean {
  const isNegated = chars[0] === '!' || chars[0] === '^'
  const ranges: [number, number][] = []
  for (let at = isNegated ? 1 : 0; at < chars.length; at++) {
    if (chars[at] === '\\') at++
    const low = chars[at].codePointAt(0)!
    let high = low
    if (chars[at + 1] === '-' && at + 2 < chars.length) {
      at += chars[at + 2] === '\\' ? 3 : 2
      high = chars[at].codePointAt(0)!
    }
    if (high < low) throw new Error(`a range of "[${chars.join('')}]" runs backwards`)
    ranges.push([low, high])
  }
  return char => {
    const code = char.codePointAt(0)!
    return char !== '/' && ranges.some(([low, high]) => code >= low && code <= high) !== isNegated
  }
}

function matches(list: readonly Token[], chars: readonly string[]): boolean {
  let here = new Uint8Array(list.length + 1)
  let next = new Uint8Array(list.length + 1)
  reach(list, here, 0)
  for (const char of chars) {
    next.fill(0)
    for (let at = 0; at < list.length; at++) {
      if (here[at] === 0) continue
      const token = list[at]
      if (token.kind === 'one') {
        if (token.accepts(char)) reach(list, next, at + 1)
      } else if (token.kind === 'star') {
        if (token.crosses || char !== '/') reach(list, next, at)
      } else {
        const first = token.kind === 'segments' ? at : at - 1
        reach(list, next, char === '/' ? first : first + 1)
      }
    }
    ;[here, next] = [next, here]
  }
  return here[list.length] === 1
}

/** Marks the place `at`, and those that are reached from it without a character. */
function reach(list: readonly Token[], places: Uint8Array, at: number): void {
  for (let place = at; places[place] === 0; ) {
    places[place] = 1
    if (place === list.length) return
    const { kind } = list[place]
    if (kind === 'star') place++
    else if (kind === 'segments') place += 2
    else return
  }
}
