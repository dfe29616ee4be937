/**
 * A process that sends back what comes over memif: `node memifEcho.js ROLE SOCKET`, until it is
 * killed.
 */
import type { MemifRole } from '../src/index.ts'
import { Echo } from './echo.ts'
import { openEnd } from './memifTest.ts'

const [role, socket] = process.argv.slice(2)
const { device, link, lines } = openEnd({ socket, role: role as MemifRole })
const echo = new Echo(device)
for (;;) {
  link.poll(performance.now())
  for (const line of lines.splice(0)) process.stderr.write(`${line}\n`)
  // With a peer nothing but an interrupt shall wake us.
  if (echo.turn() === 0) device.wait(link.isUp ? 500_000 : 1000)
}
