/**
 * The scripts of a Host once more, over IPv6: what TCP does must not depend on the headers below
 * it. Tests that speak of addresses themselves stay with IPv4 (`testIpv4`); what IPv6 has instead
 * is in tcp6.test.ts.
 */
const SCRIPTS = [
  'acceptability',
  'closedPort',
  'closing',
  'coalesce',
  'delayedAck',
  'ecn',
  'fastRetransmit',
  'fuzz',
  'handshake',
  'keepAlive',
  'limits',
  'outOfOrder',
  'retransmission',
  'rfc5961',
  'ring',
  'sackBlocks',
  'synCookies',
  'timeWait',
  'timestamps',
  'windowScale',
  'zeroWindow',
]

process.env['SANDSTORM_TEST_IP'] = '6'
for (const name of SCRIPTS) await import(`./${name}.test.js`)

export {}
