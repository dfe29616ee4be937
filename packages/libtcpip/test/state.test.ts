/** Every state × event against a literal table (RFC 9293 §3.3.2, Figure 5). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { state } from '../src/index.ts'

// Columns: EVENT_NAMES; '-' is "stays as it is".
const TABLE = `
             PASSIVE-OPEN ACTIVE-OPEN rcv-SYN  rcv-ACK-of-SYN rcv-FIN    rcv-ACK-of-FIN CLOSE      ABORT
CLOSED       SYN-RECEIVED SYN-SENT    -        -              -          -              -          -
SYN-SENT     -            -           SYN-RECEIVED ESTABLISHED -         -              CLOSED     CLOSED
SYN-RECEIVED -            -           -        ESTABLISHED    CLOSE-WAIT -              FIN-WAIT-1 CLOSED
ESTABLISHED  -            -           -        -              CLOSE-WAIT -              FIN-WAIT-1 CLOSED
FIN-WAIT-1   -            -           -        -              CLOSING    FIN-WAIT-2     -          CLOSED
FIN-WAIT-2   -            -           -        -              TIME-WAIT  -              -          CLOSED
CLOSE-WAIT   -            -           -        -              -          -              LAST-ACK   CLOSED
CLOSING      -            -           -        -              -          TIME-WAIT      -          CLOSED
LAST-ACK     -            -           -        -              -          CLOSED         -          CLOSED
TIME-WAIT    -            -           -        -              -          -              -          CLOSED
`

const [head, ...rows] = TABLE.trim()
  .split('\n')
  .map(line => line.trim().split(/\s+/))

test('the table lists all events and states', () => {
  assert.deepEqual(head, state.EVENT_NAMES)
  assert.deepEqual(
    rows.map(row => row[0]),
    state.STATE_NAMES,
  )
  assert.equal(state.STATE_NAMES.length, state.STATE_COUNT)
  assert.equal(state.EVENT_NAMES.length, state.EVENT_COUNT)
})

for (const [from, ...cells] of rows) {
  for (const [event, cell] of cells.entries()) {
    const to = cell === '-' ? from : cell
    test(`${from} --${state.EVENT_NAMES[event]}--> ${to}`, () => {
      const before = state.STATE_NAMES.indexOf(from)
      assert.equal(state.STATE_NAMES[state.next(before, event)], to)
    })
  }
}

test('what the states allow', () => {
  const which = (may: (s: number) => boolean): string[] =>
    state.STATE_NAMES.filter((_, s) => may(s)) as string[]
  assert.deepEqual(which(state.canSend), ['ESTABLISHED', 'CLOSE-WAIT'])
  assert.deepEqual(which(state.canReceive), ['ESTABLISHED', 'FIN-WAIT-1', 'FIN-WAIT-2'])
  assert.equal(which(state.isSynchronized).length, 7)
})
