/**
 * Chromium without a window, driven over a pipe (the DevTools Protocol with
 * --remote-debugging-pipe): no port, so it may run in a namespace of which the test is no part. A
 * message is JSON and a NUL.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { atExit } from './cleanup.ts'
import type { Namespace } from './namespace.ts'
import { temporaryFolder } from './temporary.ts'

/** An answer that the page's loading, or the page, got from the network. */
export interface Fetched {
  readonly url: string
  readonly status: number
  /** Of the request and the answer, by name in lower case. */
  readonly asked: Readonly<Record<string, string>>
  readonly fields: Readonly<Record<string, string>>
}

type Params = Record<string, unknown>

interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: Params
  readonly result?: Params
  readonly error?: { message: string }
}

const LIMIT_MS = 60_000
/** No sandbox: it refuses to run as root, and the pages are ours. */
const FLAGS = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--no-first-run',
  '--mute-audio',
  '--autoplay-policy=no-user-gesture-required',
  '--remote-debugging-pipe',
]

export class Browser {
  /** Everything that came from the network, by the order of the heads. */
  readonly fetched: Fetched[] = []
  /** Requests that got no answer, and exceptions and errors on the console of the page. */
  readonly failures: string[] = []
  readonly #child: ChildProcess
  readonly #ended: Promise<void>
  readonly #forget: () => void
  readonly #waiting = new Map<number, (message: Message) => void>()
  readonly #asked = new Map<unknown, Record<string, string>>()
  #onLoad: () => void = () => {}
  #session = ''
  #lastId = 0

  private constructor(namespace: Namespace) {
    const { path: profile } = temporaryFolder('chromium')
    const argv = ['chromium', ...FLAGS, `--user-data-dir=${profile}`]
    const [file, ...args] = namespace.inside(argv)
    // 3: commands, 4: answers.
    this.#child = spawn(file, args, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] })
    this.#forget = atExit(() => this.#child.kill('SIGKILL'))
    // Not 'close': a child of its own may have the pipes for longer.
    this.#ended = new Promise(resolve => this.#child.once('exit', () => resolve()))
    this.#readMessages(this.#child.stdio[4] as Readable)
  }

  /** With an empty page and an empty cache. */
  static async start(namespace: Namespace): Promise<Browser> {
    const browser = new Browser(namespace)
    const { targetId } = await browser.#send('Target.createTarget', { url: 'about:blank' })
    const attached = await browser.#send('Target.attachToTarget', { targetId, flatten: true })
    browser.#session = attached['sessionId'] as string
    for (const domain of ['Page', 'Network', 'Runtime', 'Log'])
      await browser.#send(`${domain}.enable`)
    return browser
  }

  /** Goes to a page; settles when it and all that it shows are loaded. */
  async open(url: string): Promise<void> {
    const loaded = new Promise<void>(resolve => {
      this.#onLoad = resolve
    })
    await this.#send('Page.navigate', { url })
    await this.#inTime(loaded, `load ${url}`)
  }

  /** What a script in the page gives, once it does if that is a promise; plain data. */
  async evaluate<T>(expression: string): Promise<T> {
    const params = { expression, awaitPromise: true, returnByValue: true }
    const { result, exceptionDetails } = await this.#send('Runtime.evaluate', params)
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails))
    return (result as { value: T }).value
  }

  /** Ends it; children of its own that outlive it end with the namespace. */
  async close(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
    this.#forget()
    for (const stream of this.#child.stdio) stream?.destroy()
  }

  async #send(method: string, params: Params = {}): Promise<Params> {
    const id = ++this.#lastId
    const session = this.#session === '' ? {} : { sessionId: this.#session }
    const answer = new Promise<Message>(resolve => this.#waiting.set(id, resolve))
    const commands = this.#child.stdio[3] as Writable
    commands.write(`${JSON.stringify({ id, method, params, ...session })}\0`)
    const { result, error } = await this.#inTime(answer, method)
    if (error !== undefined) throw new Error(`${method}: ${error.message}`)
    return result ?? {}
  }

  async #inTime<T>(promise: Promise<T>, what: string): Promise<T> {
    let limit: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      limit = setTimeout(() => reject(new Error(`Chromium does not ${what}`)), LIMIT_MS)
    })
    try {
      return await Promise.race([promise, late])
    } finally {
      clearTimeout(limit)
    }
  }

  #readMessages(stream: Readable): void {
    let unread = ''
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => {
      const messages = (unread + text).split('\0')
      unread = messages.pop() ?? ''
      for (const message of messages) this.#onMessage(JSON.parse(message) as Message)
    })
  }

  #onMessage(message: Message): void {
    const { id, method = '', params = {} } = message
    if (id === undefined) {
      this.#onEvent(method, params)
      return
    }
    this.#waiting.get(id)?.(message)
    this.#waiting.delete(id)
  }

  #onEvent(method: string, params: Params): void {
    const { requestId } = params
    if (method === 'Page.loadEventFired') this.#onLoad()
    else if (method === 'Network.requestWillBeSent') {
      this.#asked.set(requestId, lowerCase((params['request'] as { headers: object }).headers))
    } else if (method === 'Network.responseReceived') {
      const { url, status, headers } = params['response'] as Params
      const asked = this.#asked.get(requestId) ?? {}
      const fields = lowerCase(headers as object)
      this.fetched.push({ url: url as string, status: status as number, asked, fields })
    } else if (method === 'Network.loadingFailed' && params['canceled'] !== true) {
      this.failures.push(`request ${requestId}: ${params['errorText']}`)
    } else if (method === 'Runtime.exceptionThrown' || method === 'Log.entryAdded') {
      this.failures.push(JSON.stringify(params))
    }
  }
}

const lowerCase = (fields: object): Record<string, string> =>
  Object.fromEntries(Object.entries(fields).map(([name, value]) => [name.toLowerCase(), value]))
