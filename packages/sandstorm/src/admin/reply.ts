/** Short answers of the admin server. */
import type { ServerResponse } from 'node:http'

export const TEXT = 'text/plain; charset=utf-8'
export const JSON_LINES = 'application/x-ndjson'

/** Sends all of an answer; of HEAD, node:http leaves out the body. */
export function send(
  response: ServerResponse,
  status: number,
  body: string,
  type: string = TEXT,
): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) })
  response.end(body)
}
