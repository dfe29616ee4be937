/**
 * The ready-made frames of one file as text: the paper's idea (§2.1) made visible in ten seconds.
 * The file goes through the same store and the same layouts as in a server, so what is printed is
 * what would be sent.
 */
import type { Stats } from 'node:fs'
import { basename } from 'node:path'
import { REGION_MAX_BYTES, type Region } from '@sandstorm/libnmio'
import { HEADERS_LEN, ipv4, tcp } from '@sandstorm/libtcpip'
import { writeDate } from '../content/date.ts'
import { codeOf, REAL_FS } from '../content/fileSystem.ts'
import { fileHead, type Representation } from '../content/head.ts'
import {
  CONNECTION_LEN,
  CONNECTION_OFF,
  DATE_LEN,
  DATE_OFF,
  HEAD_LEN,
  IMAGE_OFF,
} from '../content/image.ts'
import { ImageStore } from '../content/imageStore.ts'
import { contentType } from '../content/mediaType.ts'
import { readInto, stateOf } from '../content/read.ts'
import { type Images, LADDER, Layout, segmentBytes } from '../packetize/layouts.ts'
import { frameShift } from '../server.ts'
import { NO_FIELDS } from '../site/rules.ts'
import { formatExample, PATCHED_BYTES, PATCHED_NAMES, writeExample } from './frame.ts'

export interface ExplainOptions {
  /** The MTU of the link that the frames are for; default 1500. */
  readonly mtu?: number
  /** Copies of each frame made at once; default 1. */
  readonly replicas?: number
}

/** A patched field in a head that is shown. */
const PATCHED_CHAR = '░'
/** Longer frame tables are cut in the middle: so many rows stay at either end. */
const ROWS_AT_END = 4

const count = (n: number): string => n.toLocaleString('en-US')
const plural = (n: number, noun: string): string => `${count(n)} ${noun}${n === 1 ? '' : 's'}`

/** Explains the file at `path`; rejects with one clear line if it cannot be read. */
export async function explainFile(path: string, options: ExplainOptions = {}): Promise<string> {
  const { mtu = 1500, replicas = 1 } = options
  const { content, image, bodyLen } = await loadOne(path, 1 << frameShift(mtu))
  const mss = segmentBytes(mtu - ipv4.HEADER_LEN - tcp.HEADER_LEN)
  const layout = new Layout(content, image, mss)
  const frameBytes = 1 << frameShift(mtu)
  return [
    `${path}: ${plural(bodyLen, 'byte')}, ${contentType(basename(path))}`,
    section('Response head', headText(content, image), [
      `${count(content.images[image + HEAD_LEN])} bytes, made once, when the file is loaded. ${PATCHED_CHAR} is written anew for each answer,`,
      'in place, like a port number: both fields have a fixed width.',
    ]),
    section('Layouts', layoutTable(content, image, mss), [
      'The answer cut into segments, by the MSS that the client offers. A layout is made when its first',
      `client comes; -> is that of an MTU of ${count(mtu)}.`,
    ]),
    section(`Frames of ${count(mss)} bytes`, frameTable(layout, content.images[image + HEAD_LEN]), [
      'Each is built once and kept. Its payload is summed once: after that a checksum is header',
      'arithmetic. Frame 0 leaves room for a longer head, so the others never depend on it.',
    ]),
    section('Sent to a client', example(content.region, image, content, layout), [
      `${PATCHED_BYTES} of ${HEADERS_LEN} header bytes are rewritten (^^): ${PATCHED_NAMES.slice(0, 4).join(', ')},`,
      `${PATCHED_NAMES.slice(4).join(', ')}. No byte of the payload is read.`,
      'A client with timestamps gets 12 header bytes more, of which 8 are rewritten.',
    ]),
    section('Memory', memoryTable(layout, bodyLen, frameBytes, replicas), [
      'A frame that is still in flight for one client gets a replica for the next, which is kept.',
    ]),
  ].join('\n\n')
}

function section(title: string, body: string, text: readonly string[]): string {
  const indented = body.replaceAll(/^(?=.)/gm, '    ')
  return `${title}\n${text.map(line => `  ${line}`).join('\n')}\n\n${indented}`
}

interface Loaded {
  readonly content: Images
  readonly image: number
  readonly bodyLen: number
}

/** A store with this one file, and room for one frame. */
async function loadOne(path: string, frameBytes: number): Promise<Loaded> {
  const fail = (why: string): Error => new Error(`cannot explain ${path}: ${why}`)
  let found: Stats
  try {
    found = REAL_FS.stat(path)
  } catch (error) {
    throw fail(codeOf(error) === 'ENOENT' ? 'no such file' : codeOf(error))
  }
  if (!found.isFile()) throw fail('not a file')
  const state = stateOf(found)
  const of: Representation = {
    type: contentType(basename(path)),
    size: state.size,
    lastModified: Math.max(0, Math.floor(state.mtimeMs / 1000)),
    coding: undefined,
    varies: false,
    serverName: 'sandstorm',
    fields: NO_FIELDS,
  }
  const head = fileHead(of)
  const imageBytes = ImageStore.bytesOf(head, state.size)
  if (imageBytes + frameBytes > REGION_MAX_BYTES)
    throw fail('larger than what can be held in memory')
  const store = new ImageStore(imageBytes + frameBytes, imageBytes)
  const image = store.add(head, state.size)
  const file = await REAL_FS.realpath(path)
  const read = await readInto(store.region.bytes, store.bodyOff(image), state, file, REAL_FS)
  if (read.kind !== 'loaded') {
    throw fail(read.kind === 'failed' ? read.code : 'it changed while it was read')
  }
  store.setEtag(image, head, read.etag)
  store.region.reserve(imageBytes)
  return { content: store, image, bodyLen: found.size }
}

function headText(content: Images, image: number): string {
  const { images, region } = content
  const from = images[image + IMAGE_OFF]
  const head = Buffer.from(region.bytes.slice(from, from + images[image + HEAD_LEN]))
  const text = head.toString('latin1').replaceAll('\0', PATCHED_CHAR)
  return text.trimEnd().replaceAll('\r\n', '\n')
}

function layoutTable(content: Images, image: number, mss: number): string {
  const rows = LADDER.map(step => {
    const { segmentCount, totalLen } = new Layout(content, image, step)
    const headers = segmentCount * HEADERS_LEN
    return [
      step === mss ? '->' : '',
      `${count(step)}`,
      count(segmentCount),
      count(totalLen),
      count(headers),
      count(totalLen + headers),
    ]
  })
  return table(['', 'segment', 'frames', 'payload', 'headers', 'on the wire'], rows)
}

function frameTable(layout: Layout, headLen: number): string {
  const rows: string[][] = []
  for (let k = 0; k < layout.segmentCount; k++) {
    if (k === ROWS_AT_END && layout.segmentCount > 2 * ROWS_AT_END + 1) {
      k = layout.segmentCount - ROWS_AT_END
      rows.push(['…', '…', '…', '…', '…', ''])
    }
    const [start, end] = [layout.startOf(k), layout.endOf(k)]
    const bodyBytes = end - Math.max(start, headLen)
    rows.push([
      `${k}`,
      count(HEADERS_LEN + end - start),
      `${count(start)}–${count(end - 1)}`,
      count(end - start),
      `0x${layout.sums[k].toString(16).padStart(4, '0')}`,
      k === 0 ? `head${bodyBytes > 0 ? ` and ${plural(bodyBytes, 'byte')} of body` : ''}` : '',
    ])
  }
  return table(['frame', 'length', 'bytes of the answer', 'payload', 'sum', ''], rows)
}

/** Frame 0, its two head fields filled in, laid out where the spare room is. */
function example(region: Region, image: number, content: Images, layout: Layout): string {
  const { images } = content
  const len = layout.endOf(0)
  const payloadOff = region.reserve(HEADERS_LEN + len + 64) + 64
  const from = images[image + IMAGE_OFF]
  region.copy(payloadOff, from, len)
  writeDate(region.bytes, payloadOff + images[image + DATE_OFF], 784111777)
  const connection = Buffer.from('keep-alive'.padEnd(CONNECTION_LEN))
  region.bytes.set(connection, payloadOff + images[image + CONNECTION_OFF])
  const patched =
    sumAt(region, payloadOff, images[image + DATE_OFF], DATE_LEN) +
    sumAt(region, payloadOff, images[image + CONNECTION_OFF], CONNECTION_LEN)
  const off = writeExample(
    region,
    payloadOff,
    len,
    layout.sums[0] + patched,
    layout.segmentCount === 1,
  )
  return formatExample(region, off, HEADERS_LEN + len)
}

/** What the `len` bytes at `at` of a payload add to its sum. */
function sumAt(region: Region, payloadOff: number, at: number, len: number): number {
  let sum = 0
  for (let i = at; i < at + len; i++) sum += region.bytes[payloadOff + i] << (i & 1 ? 0 : 8)
  return sum
}

function memoryTable(
  layout: Layout,
  bodyLen: number,
  frameBytes: number,
  replicas: number,
): string {
  const headLen = layout.totalLen - bodyLen
  const frames = layout.segmentCount * replicas
  const ready = frames * frameBytes
  const percent = ((100 * ready) / layout.totalLen).toFixed(0)
  const times = replicas > 1 ? ` (${replicas} copies of each)` : ''
  return table(
    ['', 'bytes', ''],
    [
      ['content', count(layout.totalLen), `head ${count(headLen)}, body ${count(bodyLen)}`],
      ['ready frames', count(ready), `${plural(frames, 'frame')} of ${count(frameBytes)}${times}`],
      ['overhead', `${percent} %`, 'of the content, while clients ask for it; given up when not'],
    ],
  )
}

/** Columns with their cells to the right, but for the last. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows]
  const widths = head.map((_, i) => Math.max(...all.map(row => row[i].length)))
  const last = head.length - 1
  return all
    .map(row =>
      row
        .map((cell, i) => (i === last && head[last] === '' ? cell : cell.padStart(widths[i])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
