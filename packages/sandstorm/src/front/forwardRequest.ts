/**
 * A request that an origin is to answer, as a mount hands it over: plain data, a copy of what came.
 */
import type { HttpMachine } from '../http/machine.ts'
import { type RequestText, requestText } from './requestText.ts'

export interface ForwardRequest {
  /** Whose origin. */
  readonly site: number
  readonly text: RequestText
  /** As it came, for the log. */
  readonly head: Uint8Array
  /** Of the client, as text. */
  readonly clientAddress: string
  readonly minor: number
  readonly close: boolean
  /** Bytes of body that will follow; IN_CHUNKS: nobody knows. */
  readonly bodyBytes: number
  /** Say "100 Continue" first. */
  readonly wantsContinue: boolean
}

/** The length of a body in chunks, until its end has come. */
export const IN_CHUNKS: number = Number.POSITIVE_INFINITY

/** The request whose head is bytes[start, end), as the machine has just found it. */
export function forwardRequest(
  machine: HttpMachine,
  bytes: Uint8Array,
  start: number,
  end: number,
  clientAddress: string,
): ForwardRequest {
  return {
    site: machine.site,
    text: requestText(bytes, start, end),
    head: Uint8Array.prototype.slice.call(bytes, start, end),
    clientAddress,
    minor: machine.minor,
    close: machine.close,
    bodyBytes: machine.isChunked ? IN_CHUNKS : machine.skip,
    wantsContinue: machine.wantsContinue,
  }
}

export const CONTINUE: Uint8Array = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n')
