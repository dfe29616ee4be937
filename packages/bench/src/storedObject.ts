/**
 * An object that was stored of an origin, for measurements: a small origin is asked for it once,
 * through the cache, which then has readers answer with it by themselves (sandstorm:
 * content/hits.ts).
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { assert } from '@sandstorm/libnmio'
import { attachContent, type Content, Fronts, LiveContent, plainOrigin, plainSite } from 'sandstorm'
import { imageLen, objectBytes } from './objects.ts'

export interface StoredObject {
  readonly content: Content
  readonly originPaths: Fronts['paths']
  /** Of an answer, head and body. */
  readonly answerBytes: number
}

/** `/object` of the given length, as clients that name `host` have it from the store. */
export async function storedObject(
  bytes: number,
  host: string,
  regionBytes: number,
): Promise<StoredObject> {
  const body = objectBytes(bytes)
  const origin = createServer((_, response) => {
    response.writeHead(200, { 'Content-Length': bytes, 'Cache-Control': 'max-age=86400' })
    response.end(body)
  })
  origin.listen(0, '127.0.0.1')
  await once(origin, 'listening')
  const { port } = origin.address() as AddressInfo
  const sites = [{ ...plainSite(''), origin: plainOrigin(`http://127.0.0.1:${port}`) }]
  const fronts = (await Fronts.open(sites))!
  try {
    const onWarning = (line: string): void => {
      throw new Error(line)
    }
    const room = { memoryBytes: regionBytes, stackBytes: regionBytes / 2, hitBytes: 1 << 24 }
    const live = await LiveContent.open(sites, { ...room, onWarning })
    fronts.publish(live.hits)
    await ask(fronts, host)
    const [hit] = live.hits.records
    assert(hit !== undefined, 'the answer was stored')
    const content = attachContent(live.attach(() => {}).shared)
    return { content, originPaths: fronts.paths, answerBytes: imageLen(content, hit.image) }
  } finally {
    await fronts.close()
    origin.close()
  }
}

async function ask(fronts: Fronts, host: string): Promise<void> {
  const request = { method: 'GET', scheme: 'http', authority: host, target: '/object' } as const
  const client = { method: 'GET', minor: 1, close: false }
  const { body } = await fronts.of(0)!.answer({ ...request, fields: [], clientAddress: '' }, client)
  for await (const _ of body ?? []);
}
