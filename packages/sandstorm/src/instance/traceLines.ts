/**
 * Lines of --trace on their way out. Whoever reads them may be slower than the packets (EAGAIN: a
 * pipe that Node made non-blocking is full) or gone (EPIPE, `| head`): then lines are lost and
 * counted, and the server goes on. A line is shorter than PIPE_BUF, so it is written whole or not
 * at all (pipe(7)).
 */

/** Makes a sink for lines out of `write`, which takes text and throws when it cannot. */
export function traceLines(write: (text: string) => void): (line: string) => void {
  let lost = 0
  return line => {
    const gap = lost === 0 ? '' : `(${lost} lines lost: the reader was too slow)\n`
    try {
      write(`${gap}${line}\n`)
      lost = 0
    } catch {
      lost++
    }
  }
}
