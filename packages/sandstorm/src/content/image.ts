/**
 * Response images: the whole answer in memory, head and body one behind the other, written once at
 * load and never changed (paper §2.1). An image is a record of int32 fields in one shared table, so
 * that workers see it without a copy: `images[i + BODY_LEN]`, where `i` is the image's handle.
 *
 * Two fields of the head are written anew for each answer, like a port number: the Date value and
 * the Connection value. Both have a fixed width, so no answer ever changes its length; in the image
 * itself both are filled with zero bytes, so that the image's checksum leaves them out.
 *
 * The order of the fields is fixed, so that a head for a part of the body, or for a target with a
 * query, can be made from this one by exchanging lines (http/madeHead.ts):
 *
 *   HTTP/1.1 200 OK
 *   Server, Date, Connection
 *   Content-Type (or Location)     begins at TYPE_OFF
 *   Content-Length                 the line behind it; both are there or neither is
 *   everything else                begins at REST_OFF, up to and with the empty line
 */

/** int32 fields of an image record. */
export const IMAGE_OFF = 0 // byte offset of the head in the content region, even
export const HEAD_LEN = 1 // bytes of head, "HTTP/1.1 …" to the empty line; at most HEAD_LEN_MAX
export const BODY_LEN = 2 // bytes of body, which follows the head
export const DATE_OFF = 3 // where DATE_LEN bytes of Date value begin, counted from the head's start
export const CONNECTION_OFF = 4 // likewise for CONNECTION_LEN bytes of Connection value
export const STATUS = 5 // HTTP status code
export const TYPE_OFF = 6 // from the head's start
export const REST_OFF = 7 // likewise; where there is no Content-Length, the same as TYPE_OFF
export const IMAGE_STRIDE = 8

/** No head is longer. */
export const HEAD_LEN_MAX = 4096
/** What frame 0 of every response leaves to the head, if it is no longer than this; TYPE_OFF never is. */
export const HEAD_ROOM = 512
/** "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 §5.6.7). */
export const DATE_LEN = 29
/** "keep-alive", or "close" and spaces (trailing white space is not part of a field value). */
export const CONNECTION_LEN = 10

/** How many bytes of an image an answer sends: HEAD stops behind the head. */
export function answerBytes(images: Int32Array, image: number, headOnly: boolean): number {
  return images[image + HEAD_LEN] + (headOnly ? 0 : images[image + BODY_LEN])
}
