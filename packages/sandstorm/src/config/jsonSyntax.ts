/**
 * Where a JSON text (RFC 8259) goes wrong. Node says so in some versions and for some mistakes
 * only, and JSON.parse takes a key that is there twice. The grammar is walked once and nothing is
 * built.
 */

/** What is wrong at an offset of the text. */
export interface SyntaxProblem {
  readonly off: number
  readonly why: string
}

/** Deeper than any configuration; also keeps the walk off the end of the stack. */
const DEPTH_MAX = 64

/** undefined: JSON.parse takes it, and no key hides another. */
export function findJsonProblem(text: string): SyntaxProblem | undefined {
  try {
    new JsonWalk(text).document()
    return undefined
  } catch (error) {
    if (error instanceof Stop) return error.problem
    throw error
  }
}

class Stop extends Error {
  readonly problem: SyntaxProblem

  constructor(problem: SyntaxProblem) {
    super(problem.why)
    this.problem = problem
  }
}

const SPACE = /[ \t\n\r]*/y
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const WORD = /true|false|null/y
/** Characters of a string, up to what ends or breaks it. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON allows none of them
const CHARS = /(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*/y

class JsonWalk {
  readonly #text: string
  #off = 0

  constructor(text: string) {
    this.#text = text
  }

  document(): void {
    this.#value(0)
    if (this.#off < this.#text.length) this.#stop('text behind the end')
  }

  #value(depth: number): void {
    if (depth > DEPTH_MAX) this.#stop('too many levels')
    this.#take(SPACE)
    const first = this.#text[this.#off]
    if (first === '{') this.#object(depth)
    else if (first === '[') this.#list(depth)
    else if (first === '"') this.#string()
    else if (this.#take(NUMBER) === '' && this.#take(WORD) === '') this.#stop('a value is missing')
    this.#take(SPACE)
  }

  #object(depth: number): void {
    const keys = new Set<string>()
    this.#items('}', () => {
      this.#take(SPACE)
      const off = this.#off
      if (this.#text[off] !== '"') this.#stop('a key in "quotes" is missing')
      const key = this.#string()
      if (keys.has(key)) this.#stop(`the key ${key} is there twice`, off)
      keys.add(key)
      this.#take(SPACE)
      this.#expect(':')
      this.#value(depth + 1)
    })
  }

  #list(depth: number): void {
    this.#items(']', () => this.#value(depth + 1))
  }

  /** What stands in brackets, with commas between. */
  #items(end: string, item: () => void): void {
    this.#off++
    this.#take(SPACE)
    if (this.#text[this.#off] === end) {
      this.#off++
      return
    }
    for (;;) {
      item()
      if (this.#text[this.#off] !== ',') break
      this.#off++
    }
    this.#expect(end)
  }

  /** Returns it as JSON, so that \u0061 and a are one key. */
  #string(): string {
    const start = this.#off++
    this.#take(CHARS)
    if (this.#text[this.#off] !== '"')
      this.#stop('a string without an end, or a bad character in it')
    this.#off++
    return JSON.stringify(JSON.parse(this.#text.slice(start, this.#off)))
  }

  #expect(char: string): void {
    if (this.#text[this.#off] !== char) this.#stop(`"${char}" is missing`)
    this.#off++
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#off
    const [found = ''] = pattern.exec(this.#text) ?? []
    this.#off += found.length
    return found
  }

  #stop(why: string, off: number = this.#off): never {
    throw new Stop({ off, why })
  }
}
