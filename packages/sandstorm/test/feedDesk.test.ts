/**
 * What a packet thread orders of origins' answers, and what it is sent: the desk without threads.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CacheRequest } from '../src/cache/message.ts'
import type { Piece } from '../src/content/pager.ts'
import { type ForwardRequest, IN_CHUNKS } from '../src/front/forwardRequest.ts'
import type { WireAnswer, WireClient } from '../src/front/wire.ts'
import { FeedDesk } from '../src/instance/feedDesk.ts'
import type { Mail } from '../src/instance/workerSetup.ts'
import { FROM_ORIGIN, FROM_STORE } from '../src/log/accessLog.ts'
import { pieceBytes } from '../src/mount/requestBody.ts'

const SLOT = 3
const SERIAL = 7
const OF = { slot: SLOT, serial: SERIAL }
const HEAD = 'HTTP/1.1 200 OK\r\n\r\n'

type Answer = (request: CacheRequest, client: WireClient) => Promise<WireAnswer>

class Desk {
  readonly mails: Mail[] = []
  /** Bytes of the pieces that were sent, and how many of those were given back. */
  readonly lent: string[] = []
  released = 0
  readonly desk: FeedDesk

  constructor(answer: Answer) {
    const content = { pieces: () => assert.fail('no file is read'), lend: this.#lend }
    this.desk = new FeedDesk(content, { of: () => ({ answer }) }, mail => {
      this.mails.push(structuredClone(mail))
    })
  }

  readonly #lend = (bytes: Uint8Array): AsyncGenerator<Piece> => this.#pieces(bytes)

  async *#pieces(bytes: Uint8Array): AsyncGenerator<Piece> {
    const image = this.lent.push(Buffer.from(bytes).toString('latin1')) - 1
    yield { image, from: 0, end: bytes.length, release: () => void this.released++ }
  }

  forward(more: Partial<ForwardRequest> = {}): void {
    const text = { method: 'POST', authority: 'a', target: '/', fields: [] }
    const request: ForwardRequest = {
      site: 0,
      text,
      head: Buffer.from('POST'),
      clientAddress: '192.0.2.1',
      minor: 1,
      close: false,
      bodyBytes: 0,
      wantsContinue: false,
      ...more,
    }
    this.desk.take({ kind: 'forward', ...OF, request })
  }

  order(kind: 'bodyEnd' | 'more' | 'drop' | 'cut' | 'close', serial: number = SERIAL): void {
    this.desk.take({ kind, slot: SLOT, serial })
  }

  /** Waits for so many mails; their kinds. */
  async kinds(count: number): Promise<string[]> {
    while (this.mails.length < count) await turn()
    return this.mails.map(({ kind }) => kind)
  }
}

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

function wire(body: WireAnswer['body'], more: Partial<WireAnswer> = {}): WireAnswer {
  const head = Buffer.from(HEAD)
  const base = { status: 200, head, body, framing: 'chunked', length: 0, close: false } as const
  return { ...base, cacheStatus: 'sandstorm; fwd=miss', ...more }
}

async function* parts(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text)
}

test('pieces come one for each order, with how far the answer has come, and then its end', async () => {
  const desk = new Desk(async () => wire(parts('abc', 'de')))
  desk.forward()
  for (let count = 1; count <= 5; count++) {
    await desk.kinds(count)
    await turn()
    assert.equal(desk.mails.length, count, 'nothing comes that was not asked for')
    assert.equal(desk.released, count - 1)
    if (count < 5) desk.order('more')
  }
  assert.deepEqual(desk.lent, [HEAD, '3\r\nabc\r\n', '2\r\nde\r\n', '0\r\n\r\n'])
  const at = desk.mails.map(mail =>
    mail.kind === 'piece' ? mail.piece.answered : mail.kind === 'fed' ? mail.answered : undefined,
  )
  assert.deepEqual(
    at.map(answered => answered?.bodyBytes),
    [0, 3, 5, 5, 5],
  )
  assert.deepEqual(at[4], { status: 200, bodyBytes: 5, from: FROM_ORIGIN, close: false })
})

test('a stored answer is one piece', async () => {
  const desk = new Desk(async () =>
    wire(Buffer.from('abc'), { framing: 'sized', length: 3, cacheStatus: 'sandstorm; hit; ttl=1' }),
  )
  desk.forward()
  await desk.kinds(1)
  desk.order('more')
  assert.deepEqual(await desk.kinds(2), ['piece', 'fed'])
  assert.deepEqual(desk.lent, [`${HEAD}abc`])
  const [, fed] = desk.mails
  assert.equal(fed.kind === 'fed' && fed.answered.from, FROM_STORE)
})

/** Answers when all of the request's body has come, with that. */
const echo: Answer = async ({ body }) => {
  const all: Uint8Array[] = []
  for await (const bytes of body ?? []) all.push(bytes)
  return wire(Buffer.concat(all), { framing: 'sized' })
}

test('the body reaches the front as it comes', async () => {
  const desk = new Desk(echo)
  desk.forward({ bodyBytes: 5 })
  desk.desk.take({ kind: 'body', ...OF, bytes: Buffer.from('he') })
  desk.desk.take({ kind: 'body', ...OF, bytes: Buffer.from('llo') })
  await desk.kinds(1)
  assert.deepEqual(desk.lent, [`${HEAD}hello`])
})

test('a body without a length lasts until its end is ordered', async () => {
  const desk = new Desk(echo)
  desk.forward({ bodyBytes: IN_CHUNKS })
  desk.desk.take({ kind: 'body', ...OF, bytes: Buffer.from('he') })
  desk.desk.take({ kind: 'body', ...OF, bytes: Buffer.from('llo') })
  await turn()
  assert.equal(desk.mails.length, 0)
  desk.order('bodyEnd')
  await desk.kinds(1)
  assert.deepEqual(desk.lent, [`${HEAD}hello`])
})

for (const [who, answer] of [
  ['takes', echo],
  ['leaves', () => new Promise<WireAnswer>(() => {})],
] as const) {
  test(`the thread is told what the origin’s client ${who} of the body, and of no other`, async () => {
    let isLeft = false
    const desk = new Desk(async (request, client) => {
      if (who === 'leaves') await request.body?.[Symbol.asyncIterator]().return?.()
      isLeft = true
      return await answer(request, client)
    })
    desk.forward({ bodyBytes: 1_000_000 })
    while (!isLeft) await turn()
    const bytes = Buffer.alloc(20_000)
    for (let n = 1; n <= 8; n++) {
      desk.desk.take({ kind: 'body', ...OF, bytes })
      await turn()
      const told = desk.mails.map(mail => (mail.kind === 'bodyTaken' ? mail.bytes : 0))
      const sum = told.reduce((all, one) => all + one, 0)
      const put = n * pieceBytes(bytes.length)
      assert.ok(sum <= put && put - sum < 65536, `${sum} of ${put}`)
    }
  })
}

test('of a body that nobody takes the thread is told nothing', async () => {
  const desk = new Desk(() => new Promise(() => {}))
  desk.forward({ bodyBytes: 1_000_000 })
  for (let n = 0; n < 8; n++) {
    desk.desk.take({ kind: 'body', ...OF, bytes: Buffer.alloc(20_000) })
    await turn()
  }
  assert.deepEqual(desk.mails, [])
})

test('a body that is cut is an error for who reads it, and the answer to that goes out', async () => {
  const desk = new Desk((request, client) =>
    echo(request, client).catch(() => wire(parts(), { status: 400 })),
  )
  desk.forward({ bodyBytes: 5 })
  desk.desk.take({ kind: 'body', ...OF, bytes: Buffer.from('he') })
  desk.order('cut')
  await desk.kinds(1)
  const [mail] = desk.mails
  assert.equal(mail.kind === 'piece' && mail.piece.answered?.status, 400)
})

test('100 Continue comes first, and is no answer yet', async () => {
  const desk = new Desk(echo)
  desk.forward({ bodyBytes: 5, wantsContinue: true })
  await desk.kinds(1)
  assert.deepEqual(desk.lent, ['HTTP/1.1 100 Continue\r\n\r\n'])
  const [mail] = desk.mails
  assert.equal(mail.kind === 'piece' && mail.piece.answered?.status, 0)
})

test('a connection that is to close says so, if it is told before the answer is there', async () => {
  let isThere: () => void = () => {}
  const desk = new Desk(async (_, client) => {
    await new Promise<void>(resolve => {
      isThere = resolve
    })
    return wire(parts(), { close: client.close })
  })
  desk.forward()
  await turn()
  desk.order('close')
  isThere()
  await desk.kinds(1)
  const [mail] = desk.mails
  assert.equal(mail.kind === 'piece' && mail.piece.answered?.close, true)
})

test('a body that breaks off fails the feed', async () => {
  const desk = new Desk(async () => wire(parts('abc'), { framing: 'sized', length: 4 }))
  desk.forward()
  for (let count = 1; count < 3; count++) {
    await desk.kinds(count)
    desk.order('more')
  }
  assert.deepEqual(await desk.kinds(3), ['piece', 'piece', 'feedFailed'])
})

for (const [how, end] of [
  ['a client that leaves', (desk: Desk) => desk.order('drop')],
  ['a packet thread that dies', (desk: Desk) => desk.desk.close()],
] as const) {
  test(`${how} ends what the origin is asked`, async () => {
    let signal: AbortSignal | undefined
    const desk = new Desk(request => {
      signal = request.signal
      return new Promise((_, reject) => {
        request.signal?.addEventListener('abort', () => reject(new Error('aborted')))
      })
    })
    desk.forward()
    await turn()
    assert.equal(signal?.aborted, false)
    end(desk)
    assert.equal(signal?.aborted, true)
    await turn()
    assert.equal(desk.mails.length, 0)
  })

  test(`${how} gives back its piece`, async () => {
    const desk = new Desk(async () => wire(parts('abc')))
    desk.forward()
    await desk.kinds(1)
    end(desk)
    assert.equal(desk.released, 1)
  })
}

test('orders of a feed that is over change nothing', async () => {
  const desk = new Desk(async () => wire(parts('abc')))
  desk.forward()
  await desk.kinds(1)
  for (const kind of ['more', 'drop', 'cut', 'close'] as const) desk.order(kind, SERIAL - 1)
  desk.desk.take({ kind: 'body', slot: SLOT, serial: SERIAL - 1, bytes: Buffer.from('x') })
  await turn()
  assert.deepEqual([desk.mails.length, desk.released], [1, 0])
})
