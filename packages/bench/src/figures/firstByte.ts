/** The time to the first byte of an answer, as curl sees it (paper, Figure 6). */
import { runInside } from '../process.ts'
import type { Side } from '../servers.ts'

export interface FirstByte {
  /** From when the request was sent, µs. */
  readonly meanUs: number
  readonly p99Us: number
}

/** Asks for an object so many times, over as many connections at once, kept alive. */
export async function firstByte(
  { clientNamespace, url }: Side,
  path: string,
  connections: number,
  requests: number,
): Promise<FirstByte> {
  const times = '%{http_code} %{time_pretransfer} %{time_starttransfer}\\n'
  const many = ['-Z', '--parallel-max', String(connections), '-o', '/dev/null', '-w', times]
  const argv = ['curl', '-s', '-S', ...many, `${url}${path}?[1-${requests}]`]
  const { code, stdout, stderr } = await runInside(
    clientNamespace,
    ['taskset', '-c', '0', ...argv],
    60_000,
  )
  if (code !== 0) throw new Error(`curl: ${stderr.trim()}`)
  const us = stdout
    .trim()
    .split('\n')
    .map(line => {
      const [status, sent, began] = line.split(' ').map(Number)
      if (status !== 200) throw new Error(`curl: status ${status} of ${url}${path}`)
      return (began - sent) * 1e6
    })
    .sort((a, b) => a - b)
  if (us.length !== requests) throw new Error(`curl: ${us.length} of ${requests} answers`)
  const meanUs = us.reduce((sum, value) => sum + value, 0) / us.length
  return { meanUs, p99Us: us[Math.ceil(us.length * 0.99) - 1] }
}
