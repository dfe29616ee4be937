/**
 * Response images: the whole answer in memory, head and body one behind the other, written once and
 * never changed (paper §2.1). An image is a record of int32 fields in one shared table, so that
 * workers see it without a copy: `images[i + BODY_LEN]`, where `i` is the image's handle. When
 * nobody needs it any more the record is another image's, with another version (imageStore.ts).
 *
 * Two fields of the head are written anew for each answer, like a port number: the Date value and
 * the Connection value. Both have a fixed width, so no answer ever changes its length; in the image
 * itself both are filled with zero bytes, so that the image's checksum leaves them out.
 *
 * In what an origin has given (hits.ts) Age stands in the place of Date, as wide. An image without
 * a head (HEAD_LEN is 0) is a piece of a body that is sent bit by bit.
 *
 * The order of the fields is fixed, so that a head for a part of the body, or for a target with a
 * query, can be made from this one by exchanging lines (http/parts.ts):
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
export const VERSION = 8 // how many images had this record before
export const PAGED = 9 // 1: the body is a file's that is not in memory (pager.ts); BODY_LEN is 0
export const FILE_LEN_HIGH = 10 // of that file, in units of 2^31 bytes …
export const FILE_LEN_LOW = 11 // … and the rest
export const AGE_SINCE = 12 // not 0: the time field is Age, which was 0 in this second (as an int32)
export const IMAGE_STRIDE = 13

/** Instead of a handle: no image. */
export const NO_IMAGE = -1

/** No head is longer. */
export const HEAD_LEN_MAX = 4096
/**
 * What frame 0 of every response leaves to the head, if it is no longer than this; TYPE_OFF never
 * is.
 */
export const HEAD_ROOM = 512
/** "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 §5.6.7). */
export const DATE_LEN = 29
/** "keep-alive", or "close" and spaces (trailing white space is not part of a field value). */
export const CONNECTION_LEN = 10

/** Bytes of the body of its answer, wherever they are. */
export function bodyLen(images: Int32Array, image: number): number {
  if (images[image + PAGED] === 0) return images[image + BODY_LEN]
  return images[image + FILE_LEN_HIGH] * 2 ** 31 + images[image + FILE_LEN_LOW]
}

/** How many bytes of an image an answer sends from memory: HEAD stops behind the head. */
export function answerBytes(images: Int32Array, image: number, headOnly: boolean): number {
  return images[image + HEAD_LEN] + (headOnly ? 0 : images[image + BODY_LEN])
}
