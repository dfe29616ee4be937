/** About what is served: ranges, conditions, codings, paths, fields (RFC 9110). */
import { gunzipSync } from 'node:zlib'
import { ask, body, field, get, request, status, statusAnd, withheld } from './question.ts'
import { CSS, TEXT } from './site.ts'

// ── Ranges
const range = (value: string, ...fields: string[]): string =>
  get('/a.txt', `Range: ${value}`, ...fields)
const LEN = TEXT.length
ask(
  'ranges',
  'one range',
  range('bytes=2-4'),
  reply =>
    statusAnd(206, body('cde'))(reply) ||
    field('content-range', new RegExp(`^bytes 2-4/${LEN}$`))(reply),
)
ask('ranges', 'a suffix', range('bytes=-3'), statusAnd(206, body(TEXT.slice(-3))))
ask('ranges', 'an open end', range('bytes=20-'), statusAnd(206, body(TEXT.slice(20))))
ask(
  'ranges',
  'not there: 416 with the length',
  range('bytes=100-'),
  statusAnd(416, field('content-range', new RegExp(`^bytes \\*/${LEN}$`))),
)
ask(
  'ranges',
  'several: multipart/byteranges',
  range('bytes=0-1,4-5'),
  reply =>
    statusAnd(206, field('content-type', /^multipart\/byteranges; *boundary=/))(reply) ||
    (/bytes 0-1[\s\S]*ab[\s\S]*bytes 4-5[\s\S]*ef/.test(reply.body.toString())
      ? ''
      : 'other parts'),
)
ask('ranges', 'a flood of overlapping ones', range(`bytes=${'0-,'.repeat(200)}0-`), reply =>
  reply.status === 206 ? `206, ${reply.body.length} bytes` : '',
)
ask('ranges', 'what is no range is ignored', range('bytes=x-y'), statusAnd(200, body(TEXT)))
ask(
  'ranges',
  'If-Range with another tag: the whole',
  range('bytes=0-1', 'If-Range: "other"'),
  status(200),
)
ask(
  'ranges',
  'If-Range with another date: the whole',
  range('bytes=0-1', 'If-Range: Sun, 06 Nov 1994 08:49:37 GMT'),
  status(200),
)
ask('ranges', 'HEAD ignores it', request('HEAD', '/a.txt', 'Range: bytes=0-1'), status(200))
ask('ranges', 'offered', get('/a.txt'), field('accept-ranges', /^bytes$/))

// ── Conditions
ask(
  'conditions',
  'ETag and Last-Modified',
  get('/a.txt'),
  reply => field('etag', /"/)(reply) || field('last-modified', /GMT$/)(reply),
)
ask('conditions', 'the ETag is strong', get('/a.txt'), field('etag', /^"/))
ask('conditions', 'If-None-Match: *', get('/a.txt', 'If-None-Match: *'), status(304))
ask(
  'conditions',
  'If-None-Match counts for more than a date',
  get('/a.txt', 'If-None-Match: "x"', 'If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT'),
  status(200),
)
ask(
  'conditions',
  'If-Modified-Since by date, not equality',
  get('/a.txt', 'If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT'),
  status(304),
)
ask(
  'conditions',
  'If-Modified-Since in the form of RFC 850',
  get('/a.txt', 'If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT'),
  status(200),
)
ask('conditions', 'If-Match of nothing: 412', get('/a.txt', 'If-Match: "x"'), status(412))
ask(
  'conditions',
  'If-Unmodified-Since long ago: 412',
  get('/a.txt', 'If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT'),
  status(412),
)
ask('conditions', 'none for what is not there', get('/none', 'If-None-Match: *'), status(404))

// ── Codings
const coded = (accept: string): string => get('/style.css', `Accept-Encoding: ${accept}`)
ask('codings', 'gzip to who takes it', coded('gzip'), field('content-encoding', /^gzip$/))
ask('codings', 'Brotli to who takes it', coded('br'), field('content-encoding', /^br$/))
ask(
  'codings',
  'q=0 means never',
  coded('gzip;q=0, br;q=0'),
  reply => field('content-encoding', /^$/)(reply) || body(CSS)(reply),
)
ask(
  'codings',
  'the better liked',
  coded('br;q=0.1, gzip;q=0.9'),
  field('content-encoding', /^gzip$/),
)
ask('codings', 'Vary, coded', coded('gzip'), field('vary', /accept-encoding/i))
ask('codings', 'Vary, not coded', get('/style.css'), field('vary', /accept-encoding/i))
ask(
  'codings',
  'a range of the coded bytes',
  get('/style.css', 'Accept-Encoding: gzip', 'Range: bytes=0-1'),
  statusAnd(206, ({ body }) => (body.toString('hex') === '1f8b' ? '' : 'other bytes')),
)
ask(
  'codings',
  'a ready-made one under its own name',
  get('/style.css.gz'),
  reply =>
    field('content-encoding', /^$/)(reply) ||
    statusAnd(200, ({ body }) => (gunzipSync(body).toString() === CSS ? '' : 'other bytes'))(reply),
)

// ── Paths
ask('paths', 'a folder is its index', get('/sub/'), statusAnd(200, body('sub')))
ask(
  'paths',
  'without its slash: a redirect, the query kept',
  get('/sub?a=b'),
  reply => status(301, 308)(reply) || field('location', /sub\/\?a=b$/)(reply),
)
ask('paths', 'percent-decoded once', get('/sp%20ace.txt'), statusAnd(200, body('space')))
ask('paths', 'UTF-8', get('/%C3%BCn%C3%AF.txt'), statusAnd(200, body('unicode')))
ask('paths', 'not decoded twice', get('/%2561.txt'), status(404))
ask('paths', '.. does not leave', get('/../secret.txt'), withheld)
ask('paths', 'nor encoded', get('/%2e%2e/secret.txt'), withheld)
ask('paths', 'nor with an encoded slash', get('/..%2fsecret.txt'), withheld)
ask('paths', 'nor with a backslash', get('/..\\secret.txt'), withheld)
ask('paths', 'nor with overlong UTF-8', get('/%c0%ae%c0%ae/secret.txt'), withheld)
ask('paths', 'NUL is 400 or 404', get('/a.txt%00.png'), status(400, 404))
ask('paths', 'a link that leaves is not followed', get('/link.txt'), withheld)
ask('paths', 'a link that stays is', get('/inside.txt'), statusAnd(200, body(TEXT)))
ask('paths', 'hidden files are not there', get('/.env'), withheld)
ask('paths', 'nor are hidden folders', get('/.git/config'), withheld)
ask('paths', '.well-known is', get('/.well-known/security.txt'), status(200))

// ── Fields
ask('fields', 'Date', get('/a.txt'), field('date', /GMT$/))
ask(
  'fields',
  'a charset where text is sent',
  get('/a.txt'),
  field('content-type', /charset=utf-8/i),
)
ask('fields', 'a type by the name', get('/image.png'), field('content-type', /^image\/png$/))
