/**
 * What metrics are called. Counters that are known have names and words of their own; others, which
 * a newer part of the server may count, go by the names that they have in its statistics, so that
 * none is left out. docs/operations.md lists them.
 */
import { COUNTER_NAMES } from '../control/counterNames.ts'
import type { MetricKind } from './metricsText.ts'

/** A metric's name, and what is said of it. */
export interface Known {
  /** Behind `sandstorm_`. */
  readonly name: string
  readonly kind: MetricKind
  readonly help: string
  /** Of a group whose names are a label's values. */
  readonly label?: string
}

const gauge = (name: string, help: string): Known => ({ name, kind: 'gauge', help })
const counter = (name: string, help: string): Known => ({
  name: `${name}_total`,
  kind: 'counter',
  help,
})

/** By group and name. */
export const KNOWN: Readonly<Record<string, Known>> = {
  drops: { ...counter('drops', 'Frames and packets not taken, by reason.'), label: 'reason' },
  timeWait: gauge('time_wait_connections', 'Connections in TIME-WAIT, which hold next to nothing.'),
  'inUse.connections': gauge('connections', 'Connections that hold a TCB.'),
  'inUse.timers': gauge('timers', 'Timers that run.'),
  'inUse.sendRecords': gauge('answers_under_way', 'Answers not wholly acknowledged.'),
  'inUse.requestBuffers': gauge(
    'request_buffers',
    'Buffers of requests that came in part or wait.',
  ),
  'inUse.framesInFlight': gauge('frames_in_flight', 'Frames that the device has not given back.'),
  'http.requests': counter('http_requests', 'Requests answered, with any status.'),
  'http.answerBytes': counter('http_answer_bytes', 'Bytes of answers, heads included.'),
  'http.idleTimeouts': counter('http_idle_timeouts', 'Connections closed without a request.'),
  'http.headTimeouts': counter('http_head_timeouts', 'Requests that did not come in time (408).'),
  'http.stallTimeouts': counter('http_stall_timeouts', 'Answers that their client did not take.'),
  'http.limited': counter('http_limited', 'Requests over the rate of one client (429).'),
  'http.storeHits': counter(
    'http_store_hits',
    'Answered with what is stored of an origin, without the main thread.',
  ),
  'http.partsGivenUp': counter(
    'http_parts_given_up',
    'Ranges for which there was no room: the whole was sent instead.',
  ),
  'http.feeds': counter('http_feeds', 'Bodies read from disk, piece by piece.'),
  'http.forwards': counter('http_forwards', 'Requests that were for an origin to answer.'),
  'http.feedsRefused': counter(
    'http_feeds_refused',
    'Of both, refused with 503 since there were too many at once.',
  ),
  'http.feedsFailed': counter(
    'http_feeds_failed',
    'Of both, cut short with a reset: the rest of a file or an answer could not be had.',
  ),
  'device.rxFrames': counter('device_rx_frames', 'Frames received.'),
  'device.rxBytes': counter('device_rx_bytes', 'Bytes received.'),
  'device.rxDropped': counter('device_rx_dropped', 'Frames that the device had no room for.'),
  'device.rxHandedOver': counter('device_rx_handed_over', 'Frames that another worker got.'),
  'device.rxOtherVlan': counter(
    'device_rx_other_vlan',
    'Frames of another VLAN than ours, or of none.',
  ),
  'device.txFrames': counter('device_tx_frames', 'Frames sent.'),
  'device.txBytes': counter('device_tx_bytes', 'Bytes sent.'),
  'device.txDropped': counter('device_tx_dropped', 'Frames that the device could not send.'),
  'device.syscalls': counter('device_syscalls', 'System calls for frames.'),
  'device.waits': counter('device_waits', 'Times that a packet thread slept.'),
  'ledger.payloadBytesCopied': counter('payload_copied_bytes', 'Payload bytes copied.'),
  'ledger.payloadBytesSummed': counter(
    'payload_summed_bytes',
    'Payload bytes read for a checksum.',
  ),
  'ledger.templateFrames': counter('frames_from_templates', 'Frames sent ready-made.'),
  'ledger.templatesBuilt': counter('templates_built', 'Ready frames made, replicas included.'),
  'ledger.replicasBuilt': counter('replicas_built', 'Of those, further copies of one in flight.'),
  'ledger.templatesEvicted': counter('templates_evicted', 'Ready frames given up for others.'),
  'ledger.headPatches': counter('head_patches', 'Date and Connection written into ready frames.'),
  'ledger.gatherFrames': counter('frames_gathered', 'Frames sent from the content store.'),
  'ledger.copyFrames': counter('frames_copied', 'Frames built by copying.'),
  'kernel.accepted': counter('kernel_accepted', 'Connections accepted.'),
  'kernel.refused': counter('kernel_refused', 'Connections over the limit, or not accepted.'),
  'kernel.slow': counter('kernel_slow', 'Heads and bodies that did not come in time.'),
  'kernel.idle': counter('kernel_idle', 'Connections closed since nothing moved.'),
  'kernel.errors': counter('kernel_errors', 'Connections that ended with a socket error.'),
  'kernel.limited': counter('kernel_limited', 'Requests over the rate of one client (429).'),
  'kernel.storeHits': counter(
    'kernel_store_hits',
    'Answered with what is stored of an origin, without asking its cache.',
  ),
  'kernel.open': gauge('kernel_connections', "Open connections on the kernel's TCP."),
  'kernel.answers': counter('kernel_answers', 'Requests answered, with any status.'),
  'content.images': gauge('content_images', 'Ready answers that are served.'),
  'content.retired': gauge(
    'content_retired_images',
    'Ready answers of earlier content that somebody may still be sent.',
  ),
  'content.freeBytes': gauge('content_free_bytes', 'Memory left for new content.'),
  'content.generation': gauge(
    'content_generation',
    'The number of the content that is served: 1 at the start, one more after each reload.',
  ),
  'content.reloads': counter('content_reloads', 'Times that the folders were looked at again.'),
  'content.failedReloads': counter(
    'content_failed_reloads',
    'Times that this failed and nothing changed.',
  ),
  'paging.extents': gauge('paging_extents', 'Parts of files on disk that are in memory.'),
  'paging.openFiles': gauge('paging_open_files', 'Files on disk that are open.'),
  'paging.reads': counter('paging_reads', 'Parts of files on disk that were read.'),
  'paging.readBytes': counter('paging_read_bytes', 'Bytes of files on disk that were read.'),
  'paging.hits': counter('paging_hits', 'Parts that were in memory when they were asked for.'),
  'paging.evicted': counter('paging_evicted', 'Parts that gave way to others.'),
  'paging.waits': counter(
    'paging_waits',
    'Times that an answer waited since the memory for such parts was all in use.',
  ),
  'paging.failed': counter(
    'paging_failed',
    'Answers refused or cut off: the file was not what it was, or could not be read.',
  ),
  'cache.requests': counter('cache_requests', 'Requests that no file answered.'),
  'cache.hits': counter(
    'cache_hits',
    'Answered from the store by the cache itself; most are store hits of the mount.',
  ),
  'cache.stale': counter('cache_stale', 'Answered with something stale.'),
  'cache.collapsed': counter('cache_collapsed', 'Answered with what another request had fetched.'),
  'cache.forwarded': counter('cache_forwarded', 'Answered by the origin.'),
  'cache.errors': counter('cache_errors', 'Answered 5xx in place of the origin.'),
  'cache.entries': gauge('cache_entries', 'Stored answers.'),
  'cache.bytes': gauge('cache_bytes', 'Memory of all that is stored.'),
  'cache.evicted': counter('cache_evicted', 'Stored answers that gave way to others.'),
  'cache.purged': counter('cache_purged', 'Stored answers that a purge has met.'),
  'cache.outdated': counter('cache_outdated', 'Answers not stored: purged on their way.'),
  'origin.requests': counter('origin_requests', 'Requests sent to origins, repeated ones too.'),
  'origin.retries': counter('origin_retries', 'Of those, repeated ones.'),
  'origin.failures': counter('origin_failures', 'Requests that an origin did not answer well.'),
  'origin.refused': counter('origin_refused', 'Requests not sent: too many wait, or it is down.'),
  'origin.down': gauge('origin_down', 'Origins that are taken to be down.'),
  'cacheDisk.written': counter('cache_disk_written', 'Stored answers written to disk.'),
  'cacheDisk.removed': counter('cache_disk_removed', 'Files of stored answers removed.'),
  'cacheDisk.loaded': counter('cache_disk_loaded', 'Stored answers read from disk at start.'),
  'cacheDisk.refused': counter(
    'cache_disk_refused',
    'Files removed at start: damaged, or half written.',
  ),
  'cacheDisk.errors': counter('cache_disk_errors', 'Times that a file could not be changed.'),
  'accessLog.lines': counter('access_log_lines', 'Lines of the access log.'),
  'accessLog.dropped': counter('access_log_dropped', 'Answers that are in no line of it.'),
  'accessLog.errors': counter('access_log_errors', 'Times that its file failed.'),
}

/** The metric of a counter in ServerStats: `timeWait`, `http.requests`. */
export function knownOf(path: string): Known {
  const known = KNOWN[path]
  if (known !== undefined) return known
  const [group, field] = path.split('.', 2)
  const tcp = COUNTER_NAMES[field as keyof typeof COUNTER_NAMES]
  if (group === 'tcp' && tcp !== undefined) {
    const help = `${tcp.text || words(field)} (${tcp.nstat})`
    return counter(`tcp_${snake(field)}`, `${help[0].toUpperCase()}${help.slice(1)}.`)
  }
  return counter(snake(path), `Statistics: ${path}.`)
}

const DURATIONS: Readonly<Record<string, string>> = {
  answer:
    'From the last byte of a request to the last acknowledgment of its answer, of a sample: one answer at a time.',
}

/** What is said of a histogram. */
export const durationHelp = (name: string): string =>
  DURATIONS[name] ?? `How long ${words(name)} took.`

/** `rxHandedOver`, `http.requests`: `rx_handed_over`, `http_requests`. */
export const snake = (name: string): string =>
  name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll(/[^A-Za-z0-9]+/g, '_')
    .toLowerCase()

const words = (name: string): string => snake(name).replaceAll('_', ' ')
